/** The commands that capture the packets of a test on both ends of their way, for a person to run while it fails. */
import { type Command, sh } from "../shell.ts";
import { type Tap, tapsOf } from "../trace/taps.ts";
import type { Way } from "../trace/trace.ts";

/** Both ends of a Service with two back ends. */
const MOST = 4;
const SECONDS = 60;
const PACKETS = 1000;

export function captureCommands(ways: readonly Way[]): Command[] {
  const commands = ways.flatMap(tapsOf).map(captureCommand);
  return [...new Map(commands.map((command) => [`${command.node} ${command.run}`, command])).values()].slice(0, MOST);
}

/** What src/parse/packet-capture.ts reads back. `-q`: no content of packets is printed. */
function captureCommand({ node, device, filter }: Tap): Command {
  const head = sh`printf ${"# netwhy capture node=%s device=%s from=%s filter=%s\\n"} ${node} ${device}`;
  const dump = sh`timeout ${SECONDS} tcpdump -nn -tt -q -c ${PACKETS} -i ${device} ${filter}`;
  const file = `capture-${node}-${device}.txt`.replace(/[^\w.-]/g, "_");
  const tail = `echo "# netwhy capture until=$(date +%s)"`;
  return { node, run: `(${head} $(date +%s) ${sh`${filter}`}; ${dump}; ${tail}) 2>&1 | tee ${file}` };
}
