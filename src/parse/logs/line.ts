/**
 * Lines of logs.
 *
 * - Container logs as `kubectl logs --timestamps` prints them: an RFC 3339 time stamp, a space, what the container wrote.
 * - klog, inside them or in kubelet.log: `I1121 03:00:42.123456   217 file.go:123] message`, severity I W E F, month and
 *   day, time, thread (k8s.io/klog/v2; the year is not printed: it is that of the capture).
 * - kubelet.log from journalctl: `Nov 21 03:00:42 node1 kubelet[217]: ` before the klog header.
 * - CoreDNS: `[ERROR] plugin/errors: …`.
 * - Calico: `2026-11-21 03:00:42.123 [ERROR][77] felix/…`.
 * - Cilium, containerd (logfmt): `time="…" level=error msg="…"`.
 * - etcd (zap): `{"level":"warn","ts":"…","msg":"…"}`.
 * - Lines that begin with ERROR or WARNING.
 * Stamps without a time zone are taken for UTC, as containers have it.
 */
export type LogLine = {
  /** 1-based. */
  readonly line: number;
  /** RFC 3339, if the line has a time. */
  readonly at?: string;
  readonly severity?: "info" | "warning" | "error" | "fatal";
  /**
   * What the program said, without time stamps and klog header; the level words of other headers stay, and JSON stays
   * whole.
   */
  readonly message: string;
};

const LEVELS: ReadonlyMap<string, LogLine["severity"]> = new Map([
  ...["trace", "debug", "info", "notice", "I"].map((word) => [word, "info"] as const),
  ...["warn", "warning", "W"].map((word) => [word, "warning"] as const),
  ...["error", "err", "E"].map((word) => [word, "error"] as const),
  ...["fatal", "panic", "dpanic", "critical", "F"].map((word) => [word, "fatal"] as const),
]);
const LONGEST_LEVEL = 8;
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

const isDigit = (code: number) => code >= 48 && code <= 57;
const isBlankOrEnd = (code: number) => Number.isNaN(code) || code === 32 || code === 9;
const QUOTE = 34;

/**
 * Whether the text has this form there: `d` is a digit, `.` any character. Logs are long: no regular expressions here.
 */
function hasForm(text: string, start: number, form: string): boolean {
  for (let i = 0; i < form.length; i++) {
    const code = text.charCodeAt(start + i);
    const wanted = form.charCodeAt(i);
    if (wanted === 100 ? !isDigit(code) : wanted === 46 ? Number.isNaN(code) : code !== wanted) return false;
  }
  return true;
}

function skipDigits(text: string, start: number): number {
  let at = start;
  while (isDigit(text.charCodeAt(at))) at++;
  return at;
}

/** Whether the two digits there make a number between `least` and `most`. */
function isBetween(text: string, start: number, least: number, most: number): boolean {
  const value = (text.charCodeAt(start) - 48) * 10 + text.charCodeAt(start + 1) - 48;
  return value >= least && value <= most;
}

const isDate = (text: string, month: number, day: number) =>
  isBetween(text, month, 1, 12) && isBetween(text, day, 1, 31);
const isTime = (text: string, start: number) =>
  isBetween(text, start, 0, 23) && isBetween(text, start + 3, 0, 59) && isBetween(text, start + 6, 0, 59);

/** What a header says, and where the rest of the line begins. */
type Header = { readonly at?: string | undefined; readonly severity?: LogLine["severity"]; readonly end: number };

/**
 * `2026-11-21T03:00:42.123456789Z `, with an offset in place of Z; `2026-11-21 03:00:42.123 `, `2026/11/21 03:00:42 `
 * without zone.
 */
function readStamp(text: string, start: number): Header | undefined {
  if (!hasForm(text, start, "dddd.dd.dd.dd:dd:dd")) return undefined;
  const dash = text.charAt(start + 4);
  const separator = text.charAt(start + 10);
  if ((dash !== "-" && dash !== "/") || text.charAt(start + 7) !== dash) return undefined;
  if (separator !== "T" && separator !== " ") return undefined;
  if (!isDate(text, start + 5, start + 8) || !isTime(text, start + 11)) return undefined;
  let end = start + 19;
  if (text.charAt(end) === "." && isDigit(text.charCodeAt(end + 1))) end = skipDigits(text, end + 1);
  const timeEnd = end;
  const sign = text.charAt(end);
  if (sign === "Z") end++;
  else if ((sign === "+" || sign === "-") && hasForm(text, end + 1, "dd:dd")) {
    if (!isBetween(text, end + 1, 0, 23) || !isBetween(text, end + 4, 0, 59)) return undefined;
    end += 6;
  }
  const next = text.charCodeAt(end);
  if (!isBlankOrEnd(next) && next !== QUOTE) return undefined;
  const isWhole = separator === "T" && dash === "-" && end > timeEnd;
  const date = () => text.slice(start, start + 10).replaceAll("/", "-");
  const at = isWhole ? text.slice(start, end) : `${date()}T${text.slice(start + 11, timeEnd)}Z`;
  return { at, end: end + 1 };
}

/** The time of a header that has no year, if the year is known. */
function timeOf(year: number | undefined, month: number, day: number, time: string): string | undefined {
  if (year === undefined) return undefined;
  const two = (number: number) => String(number).padStart(2, "0");
  const at = `${year}-${two(month)}-${two(day)}T${time}Z`;
  return Number.isNaN(Date.parse(at)) ? undefined : at;
}

/** `Nov 21 03:00:42 node1 kubelet[217]: ` */
function readSyslog(text: string, start: number, year: number | undefined): Header | undefined {
  if (!hasForm(text, start + 5, "d dd:dd:dd ")) return undefined;
  const month = MONTHS.indexOf(text.slice(start, start + 3));
  const colon = text.indexOf(": ", start + 16);
  if (month < 0 || month % 3 !== 0 || colon < 0 || colon > start + 300) return undefined;
  const day = Number(text.slice(start + 4, start + 6));
  return { at: timeOf(year, month / 3 + 1, day, text.slice(start + 7, start + 15)), end: colon + 2 };
}

/** `E1121 03:00:42.123456     217 file.go:123] ` */
function readKlog(text: string, start: number, year: number | undefined): Header | undefined {
  const severity = LEVELS.get(text.charAt(start));
  if (!severity || !hasForm(text, start + 1, "dddd dd:dd:dd.dddddd ")) return undefined;
  const bracket = text.indexOf("]", start + 22);
  if (bracket < 0 || !isBlankOrEnd(text.charCodeAt(bracket + 1))) return undefined;
  const month = Number(text.slice(start + 1, start + 3));
  const day = Number(text.slice(start + 3, start + 5));
  return { at: timeOf(year, month, day, text.slice(start + 6, start + 21)), severity, end: bracket + 2 };
}

/** The severity that the letters from `start` to `close` name. */
function levelAt(text: string, start: number, close: string): LogLine["severity"] {
  const end = text.indexOf(close, start);
  return end < 0 || end > start + LONGEST_LEVEL ? undefined : LEVELS.get(text.slice(start, end).toLowerCase());
}

/** `time="2026-11-21T03:00:42Z" level=error msg="…"`, or level first. */
function readLogfmt(text: string, start: number): Header | undefined {
  if (text.startsWith("level=", start)) return { severity: levelAt(text, start + 6, " "), end: start };
  if (!text.startsWith("time=", start)) return undefined;
  const isQuoted = text.charCodeAt(start + 5) === QUOTE;
  const stamp = readStamp(text, start + (isQuoted ? 6 : 5));
  if (!stamp) return undefined;
  const end = stamp.end + (isQuoted ? 1 : 0);
  return { at: stamp.at, severity: text.startsWith("level=", end) ? levelAt(text, end + 6, " ") : undefined, end };
}

/**
 * `{"level":"warn","ts":"2026-11-21T03:00:42.051541Z",…`: zap writes these first. The line is kept whole: it is JSON.
 */
function readJson(text: string, start: number): Header | undefined {
  const level = text.indexOf('"level":"', start);
  if (level < 0 || level > start + 100) return undefined;
  const time = text.indexOf('"ts":"', start);
  const stamp = time < 0 || time > start + 200 ? undefined : readStamp(text, time + 6);
  return { at: stamp?.at, severity: levelAt(text, level + 9, '"'), end: start };
}

/** `ERROR: …`, `WARNING …`: capitals only, as any sentence may begin with the word Error. */
function readWord(text: string, start: number): Header | undefined {
  let end = start;
  for (let code = text.charCodeAt(end); code >= 65 && code <= 90; code = text.charCodeAt(++end));
  const length = end - start;
  if (length < 4 || length > LONGEST_LEVEL) return undefined;
  const code = text.charCodeAt(end);
  if (!isBlankOrEnd(code) && text.charAt(end) !== ":") return undefined;
  return { severity: LEVELS.get(text.slice(start, end).toLowerCase()), end: start };
}

/** The header of the program that wrote the line, known by its first letter. */
function readHeader(text: string, start: number, year: number | undefined): Header | undefined {
  const first = text.charAt(start);
  if (first === "[") return { severity: levelAt(text, start + 1, "]"), end: start };
  if (first === "{") return readJson(text, start);
  if (first === "t" || first === "l") return readLogfmt(text, start);
  return readKlog(text, start, year) ?? readWord(text, start);
}

/** @param year the year of the capture, for headers that have none */
export function parseLogLine(text: string, line: number, year?: number): LogLine {
  const outer = readStamp(text, 0) ?? readSyslog(text, 0, year);
  // a program may put a stamp of its own behind that of the container runtime
  const own = outer && readStamp(text, outer.end);
  const start = own?.end ?? outer?.end ?? 0;
  const header = readHeader(text, start, year);
  const at = outer?.at ?? header?.at;
  const severity = header?.severity;
  const message = text.slice(header?.end ?? start);
  if (at === undefined) return severity === undefined ? { line, message } : { line, severity, message };
  return severity === undefined ? { line, at, message } : { line, at, severity, message };
}
