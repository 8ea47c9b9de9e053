#!/bin/sh
# Build bertlab/report/site/vendor/plot-d3.min.js from Plot and d3: `sh scripts/vendor/build.sh`. Needs npm; equal versions, equal bytes.
# The site's charts need two thirds of these packages, and the rest would be a twelfth of the site.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cp "$here"/used.js "$here"/d3.js "$work"
cd "$work"
set -- @observablehq/plot@0.6.17 d3-array@3.2.4 d3-axis@3.0.0 d3-color@3.1.0 d3-format@3.1.0 d3-interpolate@3.0.1 d3-path@3.1.0 \
    d3-scale@4.0.2 d3-selection@3.0.0 d3-shape@3.2.0 d3-time@3.1.0 d3-time-format@4.1.0 \
    internmap@2.0.3 interval-tree-1d@1.0.4 binary-search-bounds@2.0.5 isoformat@0.2.1
echo '{"private": true}' > package.json
npm install --no-audit --no-fund --ignore-scripts --silent "$@" esbuild@0.28.2
node_modules/.bin/esbuild used.js --bundle --minify --format=iife --alias:d3=./d3.js --legal-comments=none --log-level=warning \
    --banner:js="// $* Licences: LICENSES.txt" --outfile="$here/../../bertlab/report/site/vendor/plot-d3.min.js"
