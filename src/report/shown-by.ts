/** The command with which a person sees for himself what a piece of evidence says. */
import { catalogue, type KindId } from "../evidence/catalogue.ts";
import type { Kind } from "../evidence/kind.ts";
import { matchPath } from "../evidence/path.ts";
import { kubectlName } from "../model/ref.ts";
import { BUILT_IN } from "../model/resource-types.ts";
import { type Command, sh } from "../shell.ts";
import type { Cause, ReportEvidence } from "./report.ts";
import { commandFor } from "./settle.ts";

type Ref = Cause["object"];

/**
 * @param about objects that it may be about: one of the listed kind is asked for by its name
 * @returns undefined where no command shows it: what was told by hand, or a file that the catalogue does not know
 */
export function shownBy({ origin, quote }: ReportEvidence, about: readonly Ref[] = []): Command | undefined {
  if (origin.kind === "probe") return testAgain(quote);
  const match = matchPath(origin.path);
  if (!match) return undefined;
  const { how } = catalogue[match.kind] as Kind<unknown>;
  if ("other" in how) return undefined;
  return "list" in how ? listed(how.list, match.kind, quote, about) : commandFor(match);
}

/** A Pod at the start of a quote: `kube-system/coredns-x: not ready`. */
const OF_POD = /^([a-z0-9-]+)\/([a-z0-9.-]+): /;

function listed(list: string, kind: KindId, quote: string, about: readonly Ref[]): Command {
  const parts = list.split("/");
  const plural = parts.at(-1)!;
  const group = parts[1] === "apis" ? parts[2]! : "";
  const type = BUILT_IN.find((one) => one.plural === plural && one.group === group);
  const pod = kind === "pods" || kind === "events" ? OF_POD.exec(quote) : null;
  // its status and its events at once
  if (pod) return { run: sh`kubectl describe pod -n ${pod[1]!} ${pod[2]!}` };
  const named = about.find((ref) => ref.kind === type?.kind && quote.includes(ref.name));
  if (named) return { run: `kubectl get ${kubectlName(named)} -o yaml` };
  const resource = group === "" || type ? plural : `${plural}.${group}`;
  return { run: `kubectl get ${resource}${type?.isNamespaced === false ? "" : " -A"} -o wide` };
}

const TEST = /^(?:pod (\S+?)\/(\S+) on \S+|node (\S+)): (\w+) (\S+)(?: @(\S+))?(?: \((\d+) bytes\))?: /;

/** The test of a quote once more, with what images for debugging have. */
function testAgain(quote: string): Command | undefined {
  const [, namespace, pod, node, test, target = "", server, size] = TEST.exec(quote) ?? [];
  const run = test === undefined ? undefined : testRun(test, target, server, size);
  if (run === undefined) return undefined;
  if (node !== undefined) return { run, node };
  return { run: sh`kubectl exec -n ${namespace!} ${pod!} -- ` + run };
}

/** Headers of IP and ICMP, which the size of a probe includes and that of ping does not. */
const pingHeaders = (target: string) => (target.includes(":") ? 48 : 28);

function testRun(test: string, target: string, server: string | undefined, size: string | undefined) {
  switch (test) {
    case "dns":
      return server === undefined ? sh`nslookup ${target}` : sh`nslookup ${target} ${server}`;
    case "http":
      return sh`curl -sSk -m 5 ${target}`;
    case "icmp":
      if (size === undefined) return sh`ping -c 3 -W 2 ${target}`;
      return sh`ping -c 3 -W 2 -M do -s ${Number(size) - pingHeaders(target)} ${target}`;
    case "tcp": {
      const [, host = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(target) ?? [];
      return host === "" ? undefined : sh`nc -zv -w 3 ${host} ${port}`;
    }
    default:
      return undefined;
  }
}
