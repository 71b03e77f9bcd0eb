/** A failure that nothing explains: the report prints captures, a person runs them and pastes the output, and it is placed. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import { probed, probedPairs } from "../../testing/cluster-edits.ts";
import { diagnose } from "../diagnose.ts";
import { parsePacketCaptures } from "../parse/packet-capture.ts";
import { isProblem, pathBetween } from "../path.ts";
import type { Command } from "../shell.ts";
import { PATH_FORMATS } from "./formats/path.ts";
import { FORMATS } from "./formats/registry.ts";
import { withDeeperWalk } from "./look-deeper.ts";
import type { Path } from "./path.ts";
import type { Report } from "./report.ts";

/** A Pod of w2; the first client is on another node. */
const TARGET = "10.128.2.4";
const failing = cluster().edit(probed("client", "tcp", `${TARGET}:8080`, "timeout"));
/** Packets of other kinds pass between all nodes. */
const unexplained = failing.edit(probedPairs(() => true)).edit(probed("client", "tcp", `${TARGET}:8080`, "timeout"));
const source = failing.model().observations.failed[0]!.client.pod!.addresses[0]!;

const sent = (second: number) => `${second}.123456 IP ${source}.43284 > ${TARGET}.8080: tcp 0`;
const answered = (second: number) => `${second}.223456 IP ${TARGET}.8080 > ${source}.43284: tcp 0`;
const SENT = [sent(10), sent(11), sent(13)];
const ANSWERED = [answered(10), answered(11), answered(13)];

/** Runs a printed command where tcpdump sees these packets, within a minute that begins at 0. */
function printedBy({ run }: Command, packets: readonly string[]): string {
  const lines = ["listening on x, link-type EN10MB", ...packets, `${packets.length} packets captured`];
  const stubs = `
    date() { if [ -e ended ]; then echo 1700000060; else echo 1700000000; fi; }
    timeout() { shift; "$@"; }
    tcpdump() {
      while [ "$1" != -i ]; do shift; done
      touch ended
      printf '%s\\n' "$PACKETS" | sed "s/on x,/on $2,/" >&2
    }`;
  const cwd = mkdtempSync(join(tmpdir(), "netwhy-capture-"));
  try {
    const PACKETS = lines.map((line) => line.replace(/^(\d\d)\./, "17000000$1.")).join("\n");
    return execFileSync("sh", ["-c", `${stubs}\n${run}`], { cwd, encoding: "utf8", env: { ...process.env, PACKETS } });
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

const pasted = (text: string) => (given: Cluster) =>
  given.edit((draft) => draft.set("packetCapture", { file: "pasted.txt" }, parsePacketCaptures(text).value));

const commandsOf = ({ disagreements }: Report) => disagreements[0]!.settle as readonly Command[];

it("is captured on the devices by which its packets leave the one node and come to the other", () => {
  const commands = commandsOf(diagnose(unexplained.capture));
  expect(commands.map(({ node }) => node)).toEqual(["cp1", "w2"]);
  expect(commands[0]!.run).toBe(
    `(printf '# netwhy capture node=%s device=%s from=%s filter=%s\\n' cp1 flannel.1 $(date +%s) ` +
      `'host ${source} and host ${TARGET} and tcp port 8080'; ` +
      `timeout 60 tcpdump -nn -tt -q -c 1000 -i flannel.1 'host ${source} and host ${TARGET} and tcp port 8080'; ` +
      `echo "# netwhy capture until=$(date +%s)") 2>&1 | tee capture-cp1-flannel.1.txt`,
  );
  const text = FORMATS.text.render(diagnose(unexplained.capture), { lang: "en", width: 110, color: false });
  expect(text).toContain("On w2:");
  expect(text).toContain("tcpdump -nn -tt -q");
});

const [near, far] = commandsOf(diagnose(unexplained.capture)) as [Command, Command];
const tell = (left: readonly string[], come: readonly string[]) => printedBy(near, left) + printedBy(far, come);
const LOST = tell(SENT, []);
const UNANSWERED = tell(SENT, SENT);

it.each([
  ["lost between the nodes", LOST, "cp1 saw them, w2 never did"],
  ["come, and not answered", UNANSWERED, "they came to w2, and nothing answered"],
  ["come, and not answered, as the far end alone shows", printedBy(far, SENT), "they came to w2, and nothing answered"],
  ["answered, and the answer lost", tell(SENT, [...SENT, ...ANSWERED]), "w2 saw the answer, cp1 did not"],
])("is placed: %s", (_, text, where) => {
  const [one] = diagnose(pasted(text)(unexplained).capture).disagreements;
  expect(one!.says.en).toContain(where);
  expect(one!.settle).toEqual([]);
  expect(one!.evidence.some(({ origin }) => origin.path === "captures/pasted.txt")).toBe(true);
});

it.each([
  ["the far end was not captured", printedBy(near, SENT)],
  ["nothing was sent meanwhile", tell([], [])],
  ["one packet is lost by chance", tell([sent(10)], [])],
  ["all were answered", tell([...SENT, ...ANSWERED], [...SENT, ...ANSWERED])],
  ["the far end's was cut off", LOST.slice(0, -2)],
  ["the far end's lacks lines", tell(SENT, SENT).replace(/(node=w2[\s\S]*?)17000000\d\d\..*\n/, "$1")],
  ["the far end's had another filter", LOST.replace(/(node=w2.*) port 8080/, "$1 port 80")],
  ["the far end's was of another device", LOST.replace("node=w2 device=flannel.1", "node=w2 device=eth0")],
  ["the far end's ran at another time", LOST.replace(/until=1700000060\n$/, "until=1700000012\n")],
])("is not placed if %s", (_, text) => {
  const [one] = diagnose(pasted(text)(unexplained).capture).disagreements;
  expect(one!.says.en).toMatch(/stops its packets$/);
  expect(one!.settle).toHaveLength(2);
});

it("takes back what was concluded because nothing else was left", () => {
  const roots = (given: Cluster) => diagnose(given.capture).rootCauses.map(({ id }) => id);
  expect(roots(failing)).toEqual(["underlay-packet-loss/Node/cp1"]);
  expect(roots(pasted(LOST)(failing))).toEqual(["underlay-packet-loss/Node/cp1"]);
  expect(roots(pasted(UNANSWERED)(failing))).toEqual([]);
});

it("is placed by a capture of one's own, which shows what it has and not what it lacks", () => {
  const own = `${[...SENT, ...ANSWERED].map((line) => line.replace(/^(\d\d)\./, "17000000$1.")).join("\n")}\n`;
  const far = pasted(`${printedBy(near, SENT)}listening on flannel.1, link-type EN10MB\n${own}`);
  expect(diagnose(far(unexplained).capture).disagreements[0]!.settle).toHaveLength(2);
  const named = far(unexplained).edit((draft) =>
    draft.set(
      "packetCapture",
      { file: "1-w2.txt" },
      parsePacketCaptures(`listening on flannel.1, link-type X\n${own}`).value,
    ),
  );
  expect(diagnose(named.capture).disagreements[0]!.says.en).toContain("w2 saw the answer, cp1 did not");
});

describe("a path that is in doubt", () => {
  const asked = ({ capture }: Cluster): Path => {
    const { key } = failing.model().observations.failed[0]!.client.pod!;
    const found = pathBetween(capture, { from: key, to: `${TARGET}:8080` });
    if (isProblem(found)) throw new Error(found.problem.en);
    return found;
  };
  const drawn = (path: Path) => PATH_FORMATS.text(path, { lang: "en", width: 110, color: false });

  it("prints the same captures, if a test ended otherwise than the walk", () => {
    const path = asked(unexplained);
    expect(path.captures).toEqual([near, far]);
    expect(drawn(path)).toContain("reads back what they print");
    expect(asked(cluster()).captures).toEqual([]);
  });

  it("tells what they show, once they are read back, and asks for no more", () => {
    const path = asked(pasted(LOST)(unexplained));
    expect(path.captured?.map(({ says }) => says.en)).toEqual(["cp1 saw them, w2 never did"]);
    expect(path.captures).toEqual([]);
    expect(drawn(path)).toContain("cp1 saw them, w2 never did");
  });

  it("is asked again with Pods of ours, where only nodes and Pods could tell", () => {
    const path = asked(failing.without("podSockets"));
    const deeper = { run: "netwhy path a b --debug-pods" };
    const settles = ({ backEnds }: Path) => backEnds.flatMap(({ ways }) => ways.flatMap(({ end }) => end.settle));
    expect(settles(path).map(({ node }) => node)).toEqual(["w2"]);
    expect(settles(withDeeperWalk(path, deeper))).toEqual([deeper]);
  });
});
