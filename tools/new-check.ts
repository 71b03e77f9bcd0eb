/**
 * Begins a check: writes src/checks/LAYER/ID.ts and its test, and makes the registry and its documents anew.
 *
 *   node tools/new-check.ts LAYER ID        e.g. node tools/new-check.ts node ip-forwarding-off
 *
 * What it writes compiles, and its test fails until the story in it is told: CONTRIBUTING.md goes through the TODOs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CHECKS = join(ROOT, "src/checks");

const layers = (): string[] =>
  readdirSync(CHECKS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

const camel = (id: string) => id.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

const checkFile = (id: string) => `import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, works } from "../check.ts";

const say = texts("${id}", {
  found: {
    en: "TODO: the fault in one sentence, with its numbers: node {node} has {key} = {value}",
    zh: "TODO：用一句话说明故障并给出数值：节点 {node} 的 {key} 为 {value}",
  },
  repair: { en: "TODO: what this step does", zh: "TODO：这一步做什么" },
  nothing: { en: "Nothing", zh: "无" },
  prevent: { en: "TODO: how to keep it from happening again", zh: "TODO：如何防止再次发生" },
});

// TODO: what the model is asked. This one asks every node for a kernel parameter.
const KEY = "net.example.todo";

/** TODO: the fault, in one sentence. */
export const ${camel(id)} = defineCheck({
  id: "${id}",
  // TODO: the parts of the model that \`find\` and \`remedies\` use; others are not there
  reads: ["nodes", "forwarding"],

  *find({ nodes, forwarding }) {
    for (const { name, ref, sampled } of nodes.all) {
      if (!sampled) continue;
      // TODO: what it breaks; docs/generated/capabilities.md lists the words
      const capability = { name: "node.up", node: name } as const;
      const setting = forwarding.of(name).sysctl(KEY);
      // not seen is neither right nor wrong
      if (setting.state !== "present") yield cannotTell(capability, [{ kind: "sysctls", place: { node: name } }]);
      else if (setting.value.value === "0") {
        yield fault({
          repair: ref,
          nodes: [name],
          breaks: [capability],
          title: say.found({ node: name, key: KEY, value: setting.value.value }),
          evidence: [setting.value.evidence],
          strength: "direct",
        });
      } else yield works(capability, [setting.value.evidence]);
    }
  },

  remedies({ nodes }) {
    return [
      {
        id: "TODO",
        risk: "low",
        interrupts: say.nothing(),
        steps: nodes.map((node) => ({
          why: say.repair(),
          change: { do: "sysctl", node, key: KEY, value: "1" } as const,
          undo: { do: "sysctl", node, key: KEY, value: "0" } as const,
          verify: { run: \`sysctl \${KEY}\`, node },
        })),
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "TODO: the fault, in a few words", zh: "TODO：用几个字概括故障" },
    page: {
      en: \`TODO: what is wrong, and why that hurts.

**How it looks.** TODO: what fails, for whom, and what looks healthy all the same.

**How it comes about.** TODO: who does that, with what.

**When this is not the cause.** TODO: what looks alike, and how to tell it apart.\`,
      zh: \`TODO：哪里不对，有何危害。

**现象。** TODO：什么不通、影响谁、哪些看起来仍然正常。

**成因。** TODO：由谁、用什么操作引起。

**何时不是它。** TODO：有哪些相似的现象，如何区分。\`,
    },
  },
});
`;

const testFile = (id: string) => `import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { ${camel(id)} } from "./${id}.ts";

testCheck(${camel(id)}, {
  finds: {
    "TODO: what somebody did, as one would tell it": {
      // TODO: break it: \`.with(change)\` for what agents would carry through, \`.edit(draft => …)\` for what no change does
      given: cluster(),
      repair: "Node/w2",
      says: ["TODO: words of the English title"],
      breaks: ["node.up"],
      strength: "direct",
      // TODO: \`healedBy\`, if the remedy is not made of changes
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    // TODO: what looks like the fault and is none
  },
  cannotTell: {
    "node.up": {
      "kernel parameters were not collected": cluster().without("sysctls"),
    },
  },
});
`;

/** Why there can be no such check; undefined if there can. */
function objection(layer: string, id: string): string | undefined {
  if (!layers().includes(layer)) return `"${layer}" is no layer; there are ${layers().join(", ")}`;
  if (!/^[a-z]+(-[a-z]+)+$/.test(id))
    return `"${id}" is no id: lower-case words joined by hyphens, such as route-missing`;
  if (/^(no|not|check|verify|detect|find|is|has)-|-(check|ok)$/.test(id))
    return `"${id}" does not name a fault: a noun in its failing state, such as route-missing`;
  const other = layers().find((one) => existsSync(join(CHECKS, one, `${id}.ts`)));
  return other && `src/checks/${other}/${id}.ts exists`;
}

function run([layer, id]: readonly string[]): number {
  if (layer === undefined || id === undefined) {
    process.stderr.write("usage: node tools/new-check.ts LAYER ID\n");
    return 3;
  }
  const trouble = objection(layer, id);
  if (trouble !== undefined) {
    process.stderr.write(`${trouble}\n`);
    return 3;
  }
  const path = `src/checks/${layer}/${id}`;
  writeFileSync(join(ROOT, `${path}.ts`), checkFile(id));
  writeFileSync(join(ROOT, `${path}.test.ts`), testFile(id));
  const generate = ["--disable-warning=ExperimentalWarning", join(ROOT, "tools/generate.ts")];
  const { status } = spawnSync(process.execPath, generate, { stdio: "inherit" });
  process.stdout.write(`${path}.ts\n${path}.test.ts\nnext: do what they say to do, until this passes:\n`);
  process.stdout.write(`  npx vitest run ${path}.test.ts\n`);
  return status ?? 1;
}

process.exitCode = run(process.argv.slice(2));
