/**
 * nft's JSON against nft itself: random tables in the kernel, read, printed by us, and taken by nft once more: both
 * listings say the same.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NftRuleset, parseNft } from "../../src/parse/nftables/json.ts";
import { printNftRuleset } from "../../src/parse/nftables/print.ts";
import { seededRandom } from "../random.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace } from "./namespaces.ts";
import { nftTables } from "./random-nft.ts";

const CASES = process.env.NETWHY_LONG ? 500 : 12;

/** What a rule set says, without where it stands and under which numbers. */
const saying = ({ tables }: NftRuleset): unknown =>
  JSON.parse(JSON.stringify(tables, (key, value: unknown) => (key === "item" || key === "handle" ? undefined : value)));

const rulesIn = ({ tables }: NftRuleset): number =>
  tables.flatMap(({ chains }) => chains.flatMap(({ rules }) => rules)).length;

describe.skipIf(!canAsk("nft"))("nft", () => {
  let name = "";
  beforeAll(() => {
    name = addNamespace();
  });
  afterAll(() => deleteNamespace(name));

  const loaded = (text: string): NftRuleset => {
    inNamespace(name, ["nft", "flush", "ruleset"]);
    inNamespace(name, ["nft", "-f", "-"], text);
    const { value, gaps } = parseNft(inNamespace(name, ["nft", "-j", "list", "ruleset"]));
    expect(gaps).toEqual([]);
    return value;
  };

  it.each(Array.from({ length: CASES }, (_, seed) => seed))("takes what we print (seed %i)", (seed) => {
    const random = seededRandom(seed + 901);
    const lines = nftTables(random, seed % 3 === 2 ? 6 : 4, "certain").split("\n");
    // Of these nft itself does not take what it lists: a port of ICMP is listed as its checksum.
    const taken = loaded(lines.filter((line) => !(/icmp/.test(line) && /th dport/.test(line))).join("\n"));
    // nft makes some things simpler when it takes them a second time: sets of one element, bits that are set twice.
    const first = loaded(printNftRuleset(taken));
    expect(rulesIn(first)).toBe(rulesIn(taken));
    expect(saying(loaded(printNftRuleset(first)))).toEqual(saying(first));
  });
});
