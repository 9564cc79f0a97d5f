// Package web looks at the web page with a real Chromium: three nodes with floating addresses, calls through them, and what an
// operator sees and does while one of them is killed. look.mjs is the browser's side; the two talk by lines of JSON.
package web
