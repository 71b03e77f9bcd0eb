/**
 * `dmesg`: the kernel's ring buffer, `[ 3696.105116] message`, seconds since boot (or with -T a date, with -x a
 * facility and level).
 */
import { type Parser, splitLines } from "../parsed.ts";

export type KernelLine = { readonly line: number; readonly sinceBoot?: number; readonly message: string };

/** The `<6>` of -r, or the `kern  :info  : ` of -x. */
const LEVEL = /^(?:<\d{1,3}>|[a-z0-9]{2,9}\s*:[a-z]{4,7}\s*: )/;
const SECONDS = /^\[\s*(\d{1,10}\.\d{1,9})(?: <[^>]{0,20}>)?\] ?/;
/** With -T, with --time-format iso, or nothing but blanks where dmesg has no time. */
const DATE =
  /^(?:\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}\] ?|\d{4}-\d\d-\d\dT[\d:]{8},\d{6}[+-]\d\d:\d\d )/;
/** The thread or CPU that said it, of kernels that print it (CONFIG_PRINTK_CALLER). */
const CALLER = /^\[\s*[TC]\d{1,10}\] ?/;
/** Of journalctl -k. */
const JOURNAL = /^[A-Z][a-z]{2} [ \d]\d [\d:]{8} [\w.-]{1,255} kernel: /;

function toLine(content: string, line: number): KernelLine {
  const unlevelled = content.replace(LEVEL, "");
  const seconds = SECONDS.exec(unlevelled);
  const undated = seconds ? unlevelled.slice(seconds[0].length) : unlevelled.replace(DATE, "");
  const message = undated.replace(CALLER, "").replace(JOURNAL, "");
  return seconds ? { line, sinceBoot: Number(seconds[1]), message } : { line, message };
}

export const parseKernelLog: Parser<readonly KernelLine[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  return { value: lines.map((content, index) => toLine(content, index + 1)), gaps };
};
