/**
 * Our route lookup against the kernel's: random routes and policy rules in a network namespace, and for random packets
 * what `ip route get` says of them.
 *
 * A case is repeated by its seed: `NETWHY_SEED=17 vitest run testing/kernel/routing`. NETWHY_LONG=1 runs thousands.
 */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forwardingOf } from "../../src/model/forwarding/plane.ts";
import { lookupRoute } from "../../src/model/forwarding/routing.ts";
import { parseIp } from "../../src/net/ip.ts";
import { LONG } from "../long.ts";
import { seededRandom } from "../random.ts";
import { captureOf } from "../recordings.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace } from "./namespaces.ts";

const ONLY = process.env.NETWHY_SEED;
const CASES = LONG ? 3000 : 60;
const PACKETS = 30;

type Random = ReturnType<typeof seededRandom>;

/** Device i has the address 10.0.i.1/24. */
const DEVICES = ["d0", "d1", "d2"];
/** Is down in some cases, after its routes were made. */
const FALLING = "d2";
const TABLES = ["main", "100", "200"];
const DESTINATIONS = ["10.0.0.5", "10.0.1.5", "10.0.0.1", "10.1.1.1", "10.1.2.1", "10.2.0.1", "198.51.100.7"];

function randomPrefix({ pick }: Random): string {
  return pick([
    "default",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.1.0/24",
    "10.1.1.1",
    "10.2.0.0/15",
    "10.0.1.0/25",
    "198.51.100.0/24",
  ]);
}

function randomHop({ pick, chance }: Random): string {
  const index = pick([0, 1, 2]);
  return chance(0.5) ? `via 10.0.${index}.254 dev d${index}` : `dev d${index}`;
}

function randomRoute(random: Random): string {
  const { pick, chance, below } = random;
  const head = `${randomPrefix(random)} table ${pick(TABLES)}${chance(0.4) ? ` metric ${below(3) * 10}` : ""}`;
  if (chance(0.2)) return `${pick(["blackhole", "unreachable", "prohibit", "throw"])} ${head}`;
  if (chance(0.2)) return `${head} nexthop ${randomHop(random)} nexthop ${randomHop(random)}`;
  return `${head} ${randomHop(random)}`;
}

function randomRule(random: Random, priority: number): string {
  const { pick, chance, below } = random;
  const selectors = [
    ...(chance(0.2) ? ["not"] : []),
    chance(0.4) ? `from ${pick(["10.0.0.0/24", "10.0.1.1", "10.2.0.0/16", "0.0.0.0/0"])}` : "from all",
    ...(chance(0.3) ? [`to ${pick(["10.1.0.0/16", "10.2.0.1", "10.0.0.0/8"])}`] : []),
    ...(chance(0.3) ? [`fwmark ${pick(["0x1", "0x100/0xf00", "0x1ff/0xf00", "0x80000000/0x80000000"])}`] : []),
    ...(chance(0.2) ? [`iif ${pick(["lo", "d0", "d1"])}`] : []),
    ...(chance(0.1) ? [`oif ${pick(DEVICES)}`] : []),
    ...(chance(0.1) ? ["ipproto udp dport 53"] : []),
  ];
  const action = chance(0.65)
    ? `lookup ${pick(TABLES)}${chance(0.3) ? ` suppress_prefixlength ${pick([0, 16, 24])}` : ""}`
    : chance(0.6)
      ? `goto ${priority + 10 * (1 + below(3))}`
      : pick(["blackhole", "unreachable", "prohibit", "nop"]);
  return `${selectors.join(" ")} pref ${priority} ${action}`;
}

type Packet = {
  readonly destination: string;
  readonly source?: string;
  readonly inDevice?: string;
  readonly mark?: number;
};

function randomPacket({ pick, chance }: Random): Packet {
  const mark = chance(0.4) ? { mark: pick([0x1, 0x123, 0x80000000]) } : {};
  const destination = pick(DESTINATIONS);
  if (chance(0.4))
    return {
      destination,
      source: pick(["10.0.0.9", "10.2.3.4", "203.0.113.1"]),
      inDevice: pick(["d0", "d1"]),
      ...mark,
    };
  return { destination, ...(chance(0.5) && { source: pick(["10.0.0.1", "10.0.1.1"]) }), ...mark };
}

/** Runs commands of `ip` in one process, whatever becomes of each. */
function batch(namespace: string, commands: readonly string[]): { stdout: string; stderr: string } {
  const input = commands.map((line) => `${line}\n`).join("");
  const { stdout, stderr } = spawnSync("ip", ["-n", namespace, "-j", "-force", "-batch", "-"], {
    input,
    encoding: "utf8",
  });
  return { stdout, stderr };
}

const REFUSED = /^RTNETLINK answers: (Network is unreachable|No route to host|Permission denied|Invalid argument)$/;

/** Where the kernel sends each packet: `via 10.0.0.254 dev d0`, `local`, or `nowhere`. */
function kernelSays(namespace: string, packets: readonly Packet[]): string[] {
  const commands = packets.map(({ destination, source, inDevice, mark }) =>
    [
      `route get ${destination}`,
      ...(source === undefined ? [] : [`from ${source}`]),
      ...(inDevice === undefined ? [] : [`iif ${inDevice}`]),
      ...(mark === undefined ? [] : [`mark 0x${mark.toString(16)}`]),
    ].join(" "),
  );
  const { stdout, stderr } = batch(namespace, commands);
  const failed = new Set([...stderr.matchAll(/^Command failed -:(\d+)$/gm)].map(([, line]) => Number(line) - 1));
  const strange = stderr
    .split("\n")
    .filter((line) => line !== "" && !/^Command failed/.test(line) && !REFUSED.test(line));
  if (strange.length > 0) throw new Error(strange.join("\n"));
  const answers = stdout.split("\n").filter((line) => line.trim() !== "");
  return packets.map((_, index) => {
    if (failed.has(index)) return "nowhere";
    const [route] = JSON.parse(answers.shift()!) as [{ type?: string; gateway?: string; dev?: string }];
    if (route.type !== undefined && route.type !== "unicast") return route.type;
    return [...(route.gateway ? [`via ${route.gateway}`] : []), `dev ${route.dev}`].join(" ");
  });
}

type Said = readonly string[] | "unknown";

function weSay(files: ReadonlyMap<string, string>, { destination, source, ...more }: Packet): Said {
  const plane = forwardingOf(captureOf(files)).of("n");
  const packet = {
    destination: parseIp(destination)!,
    ...(source !== undefined && { source: parseIp(source)! }),
    ...more,
  };
  const lookup = lookupRoute(plane, packet);
  switch (lookup.end) {
    case "via":
      return lookup.hops.map(({ gateway, device }) =>
        [...(gateway ? [`via ${gateway}`] : []), `dev ${device}`].join(" "),
      );
    case "local":
      return ["local"];
    case "unknown":
      return "unknown";
    default:
      return ["nowhere"];
  }
}

function layOut(namespace: string): void {
  const sysctl = (key: string, value: string) => inNamespace(namespace, ["sysctl", "-qw", `net.ipv4.${key}=${value}`]);
  sysctl("ip_forward", "1");
  for (const which of ["all", "default"]) {
    sysctl(`conf.${which}.rp_filter`, "0");
    sysctl(`conf.${which}.accept_local`, "1");
  }
  for (const [index, device] of DEVICES.entries()) {
    inNamespace(namespace, ["ip", "link", "add", device, "type", "veth", "peer", "name", `${device}-peer`]);
    inNamespace(namespace, ["ip", "link", "set", `${device}-peer`, "up"]);
    inNamespace(namespace, ["ip", "addr", "add", `10.0.${index}.1/24`, "dev", device]);
  }
}

/** Fresh tables; a line that the kernel refuses is left out. */
function fill(namespace: string, random: Random): void {
  const routes = Array.from({ length: 4 + random.below(8) }, () => randomRoute(random));
  const rules = Array.from({ length: random.below(6) }, (_, i) => randomRule(random, (i + 1) * 10));
  batch(namespace, [
    ...DEVICES.flatMap((device) => [`link set ${device} down`, `link set ${device} up`]),
    ...TABLES.slice(1).map((table) => `route flush table ${table}`),
    // what is hung on no device outlives the devices
    ...["blackhole", "unreachable", "prohibit", "throw"].map((type) => `route flush table main type ${type}`),
    ...["rule flush", "rule add pref 32766 lookup main"],
    ...routes.map((line) => `route add ${line}`),
    ...rules.map((line) => `rule add ${line}`),
    ...(random.chance(0.3) ? [`link set ${FALLING} down`] : []),
  ]);
}

const captured = (namespace: string): ReadonlyMap<string, string> =>
  new Map([
    ["nodes/n/ip-route.json", inNamespace(namespace, ["ip", "-j", "-d", "route", "show", "table", "all"])],
    ["nodes/n/ip-rule.json", inNamespace(namespace, ["ip", "-j", "rule"])],
  ]);

const isAble = canAsk("sysctl");

describe.skipIf(!isAble)("routes", () => {
  let namespace = "";
  beforeAll(() => {
    namespace = addNamespace();
    layOut(namespace);
  });
  afterAll(() => deleteNamespace(namespace));

  it("lead where the kernel's lead", () => {
    const seeds = ONLY === undefined ? Array.from({ length: CASES }, (_, i) => i + 1) : [Number(ONLY)];
    const told = { known: 0, unknown: 0 };
    const ends = new Set<string>();
    for (const seed of seeds) {
      const random = seededRandom(seed);
      fill(namespace, random);
      const files = captured(namespace);
      const packets = Array.from({ length: PACKETS }, () => randomPacket(random));
      for (const [index, kernel] of kernelSays(namespace, packets).entries()) {
        const packet = packets[index]!;
        const ours = weSay(files, packet);
        told[ours === "unknown" ? "unknown" : "known"]++;
        ends.add(kernel.replace(/\d+(\.\d+)*/g, "#"));
        if (ours === "unknown" || ours.includes(kernel)) continue;
        const said = `${JSON.stringify(packet)}: kernel: ${kernel}; we: ${ours.join(" | ")}`;
        expect.fail([`seed ${seed}: ${said}`, ...files.values()].join("\n"));
      }
    }
    // it must not agree by knowing nothing, or by asking of nothing
    if (ONLY === undefined) {
      expect(told.known).toBeGreaterThan(told.unknown * 5);
      expect([...ends].sort()).toEqual(["dev d#", "local", "nowhere", "via # dev d#"]);
    }
  }, 1_200_000);
});
