// Package plot has the pictures of the laboratories, as SVG and as PNG, drawn by gonum/plot: strips of points on a
// logarithmic scale, which show all that was measured and its median, and curves over time or over shares.
package plot
