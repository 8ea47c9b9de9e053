/* d3 without maps, colour schemes, trees and contours, which stands in d3's place: Plot names all of it, the site's charts use none of that. */

export * from "d3-array";
export * from "d3-axis";
export * from "d3-color";
export * from "d3-format";
export * from "d3-interpolate";
export * from "d3-path";
export * from "d3-scale";
export * from "d3-selection";
export * from "d3-shape";
export * from "d3-time";
export * from "d3-time-format";

export const geoTransform = () => ({}); // called while Plot loads
export let Delaunay, cluster, contourDensity, contours, geoAlbers, geoAlbersUsa, geoAzimuthalEqualArea, geoAzimuthalEquidistant, geoCentroid,
  geoClipRectangle, geoConicConformal, geoConicEqualArea, geoConicEquidistant, geoEqualEarth, geoEquirectangular, geoGnomonic, geoGraticule10,
  geoMercator, geoOrthographic, geoPath, geoStereographic, geoStream, geoTransverseMercator, interpolateBlues, interpolateBrBG, interpolateBuGn,
  interpolateBuPu, interpolateCividis, interpolateCool, interpolateCubehelixDefault, interpolateGnBu, interpolateGreens, interpolateGreys,
  interpolateInferno, interpolateMagma, interpolateOrRd, interpolateOranges, interpolatePRGn, interpolatePiYG, interpolatePlasma, interpolatePuBu,
  interpolatePuBuGn, interpolatePuOr, interpolatePuRd, interpolatePurples, interpolateRainbow, interpolateRdBu, interpolateRdGy, interpolateRdPu,
  interpolateRdYlBu, interpolateRdYlGn, interpolateReds, interpolateSinebow, interpolateSpectral, interpolateTurbo, interpolateViridis,
  interpolateWarm, interpolateYlGn, interpolateYlGnBu, interpolateYlOrBr, interpolateYlOrRd, randomLcg, schemeAccent, schemeBlues, schemeBrBG,
  schemeBuGn, schemeBuPu, schemeCategory10, schemeDark2, schemeGnBu, schemeGreens, schemeGreys, schemeObservable10, schemeOrRd, schemeOranges,
  schemePRGn, schemePaired, schemePastel1, schemePastel2, schemePiYG, schemePuBu, schemePuBuGn, schemePuOr, schemePuRd, schemePurples, schemeRdBu,
  schemeRdGy, schemeRdPu, schemeRdYlBu, schemeRdYlGn, schemeReds, schemeSet1, schemeSet2, schemeSet3, schemeSpectral, schemeTableau10, schemeYlGn,
  schemeYlGnBu, schemeYlOrBr, schemeYlOrRd, stratify, tree;
