import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { said } from "../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../testing/cluster-nodes.ts";
import { ago } from "../../testing/object-states.ts";

const built = cluster();
const proxy = built
  .model()
  .components.byId("kube-proxy")[0]!
  .pods.find(({ node }) => node === "w1")!;
const ofProxy = { namespace: proxy.namespace, pod: proxy.name, container: "kube-proxy" };
const before = (messages: readonly string[], at = ago(3600)) =>
  built.edit((draft) => draft.set("previousContainerLog", ofProxy, logOf(messages, at)));
const words = (sayings: readonly { readonly evidence: { readonly quote: string } }[]) =>
  sayings.map(({ evidence }) => evidence.quote);

describe("what a Pod said", () => {
  it("is quoted with its line, if it matches", () => {
    const { logs } = built.edit(said("kube-proxy", ["starting", "cannot list: forbidden"], NOW, "w1")).model();
    const [saying, ...others] = logs.said(proxy, /forbidden/);
    expect(others).toEqual([]);
    expect(saying).toMatchObject({
      current: true,
      place: ofProxy,
      evidence: { quote: "cannot list: forbidden", origin: { line: 2 } },
    });
    expect(logs.said(proxy, /nothing of the kind/)).toEqual([]);
  });

  it("is of no present concern once it is an hour old", () => {
    const { logs } = built.edit(said("kube-proxy", ["cannot list: forbidden"], ago(3600), "w1")).model();
    expect(logs.said(proxy, /forbidden/)).toMatchObject([{ current: false, ongoing: false }]);
  });

  it("begins with its previous run", () => {
    const both = before(["panic: first"]).edit(said("kube-proxy", ["panic: second"], NOW, "w1"));
    expect(words(both.model().logs.said(proxy, /panic/))).toEqual(["panic: first", "panic: second"]);
  });

  it("is not mixed with what its twin on another node said", () => {
    const { logs } = built.edit(said("kube-proxy", ["forbidden"], NOW, "w2")).model();
    expect(logs.said(proxy, /forbidden/)).toEqual([]);
    expect(words(logs.saidAnywhere(/^forbidden$/))).toEqual(["forbidden"]);
  });

  it("cannot be known where no log was had", () => {
    const { logs } = built.without("containerLog").without("previousContainerLog").model();
    expect([logs.said(proxy, /./), logs.lastWords(proxy, "kube-proxy")]).toEqual([[], undefined]);
  });
});

describe("last words", () => {
  it("are those of the run that ended, if there was one", () => {
    const restarted = before(["reading", "fatal: no config"]).edit(said("kube-proxy", ["starting"], NOW, "w1"));
    const last = restarted.model().logs.lastWords(proxy, "kube-proxy")!;
    expect(last.lines.map(({ message }) => message)).toEqual(["reading", "fatal: no config"]);
    expect(last.quote(last.lines[1]!)).toMatchObject({ quote: "fatal: no config", origin: { line: 2 } });
  });

  it("are those of the present run, if it is the first", () => {
    const { logs } = built.edit(said("kube-proxy", ["starting"], NOW, "w1")).model();
    expect(logs.lastWords(proxy, "kube-proxy")!.lines.map(({ message }) => message)).toEqual(["starting"]);
  });
});

it("a kubelet's words are its node's alone", () => {
  const { logs } = built.edit((draft) => draft.set("kubeletLog", { node: "w1" }, logOf(["PLEG is slow"], NOW))).model();
  expect(words(logs.kubeletSaid("w1", /PLEG/))).toEqual(["PLEG is slow"]);
  expect(logs.kubeletSaid("w2", /PLEG/)).toEqual([]);
});
