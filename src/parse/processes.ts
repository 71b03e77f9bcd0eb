/**
 * `ps -eo pid,ppid,user,lstart,args`: the processes of a node.
 *
 * Format: a header line; then pid, ppid, user, a start time of five words (`Sat Nov 21 03:00:01 2026`), the command
 * line to the end.
 */
import { type Parser, splitLines } from "./parsed.ts";

export type Process = { readonly line: number; readonly pid: number; readonly ppid: number; readonly command: string };

/**
 * pid, ppid, user, the five words of the start time, and the command line, of which a kernel thread has only a name in
 * brackets.
 */
const PROCESS = /^\s*(\d{1,10})\s+(\d{1,10})\s+\S+\s+\S+\s+\S+\s+\S+\s+\d\d:\d\d:\d\d\s+\d{4}\s(.*)$/;
const HEADER = /^\s*PID\s+PPID\s/;

export const parseProcesses: Parser<readonly Process[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: Process[] = [];
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content.trim() === "" || HEADER.test(content)) return;
    const match = PROCESS.exec(content);
    if (!match) gaps.push({ line, what: `is no process: ${content.slice(0, 100)}` });
    else value.push({ line, pid: Number(match[1]), ppid: Number(match[2]), command: match[3]!.trim() });
  });
  return { value, gaps };
};
