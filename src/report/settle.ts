/** The commands that would bring evidence which is missing. */
import { catalogue, type Missing } from "../evidence/catalogue.ts";
import type { Kind } from "../evidence/kind.ts";
import { filledWith } from "../evidence/path.ts";
import { type Command, sh } from "../shell.ts";

const MOST = 5;

/** Each command once, and not too many. */
export function settleFor(missing: readonly Missing[]): Command[] {
  return [...new Map(missing.map(commandFor).map((how) => [JSON.stringify(how), how])).values()].slice(0, MOST);
}

/** The command that brings evidence of one kind, from one place. */
export function commandFor({ kind, place = {} }: Missing): Command {
  const { how } = catalogue[kind] as Kind<unknown>;
  const { node, namespace = "", pod = "", container = "", file = "*" } = place;
  const on = (run: string): Command => (node === undefined ? { run } : { run, node });
  if ("list" in how) return { run: sh`kubectl get --raw ${how.list.replace("*", "v1")}` };
  if ("get" in how) return { run: sh`kubectl get --raw ${filledWith(place, how.get)}` };
  if ("file" in how) return on(sh`cat ${how.file.replace("{file}", file)}`);
  if ("logs" in how) {
    const previous = how.logs === "previous" ? " --previous" : "";
    return { run: sh`kubectl logs -n ${namespace} ${pod} -c ${container}` + previous };
  }
  if ("exec" in how) return { run: `${sh`kubectl exec -n ${namespace} ${pod} -c ${how.container}`} -- ${how.exec}` };
  if (!("command" in how)) return { run: how.other };
  if (how.where === "node") return on(how.command);
  const sandbox = sh`crictl pods -q --namespace ${namespace} --name ${`^${pod}$`}`;
  const pid = `crictl inspectp -o go-template --template '{{.info.pid}}' $(${sandbox})`;
  return on(`nsenter -t $(${pid}) -n ${how.command}`);
}
