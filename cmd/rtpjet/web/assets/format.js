// Numbers and times for people.

const whole = new Intl.NumberFormat("en");

export const number = (n) => whole.format(Math.round(n));

export const count = (n, what) => number(n) + " " + what + (n === 1 ? "" : "s");

// rate is packets a second; negative: not known.
export const rate = (n) => (n < 0 ? "–" : n < 10 && n % 1 ? n.toFixed(1) : number(n));

export const percent = (share) => (share < 0 ? "–" : share === 0 ? "0 %" : (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %");

const two = (n) => String(n).padStart(2, "0");

// clock is the time of day of µs of Unix time, as the log has it: UTC.
export function clock(us, digits = 0) {
  const d = new Date(us / 1000);
  const s = two(d.getUTCHours()) + ":" + two(d.getUTCMinutes()) + ":" + two(d.getUTCSeconds());
  return digits ? s + "." + String(Math.floor(d.getUTCMilliseconds())).padStart(3, "0") : s;
}

export const day = (us) => new Date(us / 1000).toISOString().slice(0, 10);

// span is a duration in µs, in its two largest units.
export function span(us) {
  const s = Math.max(0, us / 1e6);
  if (s < 60) return Math.floor(s) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + two(Math.floor(s % 60)) + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + two(Math.floor((s % 3600) / 60)) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor((s % 86400) / 3600) + " h";
}

// short is a duration in µs as latencies are told.
export function short(us) {
  if (us < 1000) return us + " µs";
  if (us < 1e6) return (us / 1000).toFixed(us < 1e5 ? 1 : 0) + " ms";
  return (us / 1e6).toFixed(1) + " s";
}

// us is µs of Unix time of a timestamp as JSON has it. Date keeps ms only.
export function us(stamp) {
  const ms = Date.parse(stamp);
  const rest = /\.\d{3}(\d{1,3})/.exec(stamp);
  return ms * 1000 + (rest ? Number(rest[1].padEnd(3, "0")) : 0);
}

// name tells an owner from a floating address.
export const owner = (o) => (o.startsWith("float.") ? o.slice(6) : o);

export const version = (v) => (/^[0-9a-f]{12,}$/.test(v) ? v.slice(0, 7) : v || "–");
