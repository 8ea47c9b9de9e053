/* What the charts of the site use; esbuild leaves out the rest of Plot and d3. See build.sh. */

import { areaY, dodgeY, dot, gridY, line, plot, pointer, pointerX, rectX, ruleX, ruleY, text, tip } from "@observablehq/plot";
import { area, extent, groups, max, mean, nice, pointer as at, range, scaleLinear, scaleSymlog, sort } from "d3";

globalThis.Plot = { areaY, dodgeY, dot, gridY, line, plot, pointer, pointerX, rectX, ruleX, ruleY, text, tip };
globalThis.d3 = { area, extent, groups, max, mean, nice, pointer: at, range, scaleLinear, scaleSymlog, sort };
