import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mutationsOf, neverThrows, RUNS } from "../../../testing/parser-properties.ts";
import { type CorefileDirective, type CorefileServer, parseCorefile } from "./corefile.ts";

/** Of kubeadm 1.32. */
const KUBEADM = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
`;

/** NodeLocal DNSCache's, as the node-cache image fills it in, shortened. */
const NODELOCAL = `cluster.local:53 {
    errors
    cache {
            success 9984 30
            denial 9984 5
    }
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . 10.103.201.7 {
            force_tcp
    }
    prometheus :9253
    health 169.254.20.10:8080
}
.:53 {
    bind 169.254.20.10 10.96.0.10
    forward . /etc/resolv.conf
}
`;

const errorsOf = (text: string) => parseCorefile(text).value.errors;
const serversOf = (text: string) => parseCorefile(text).value.servers;
/** What is wrong with directives inside a block that is otherwise in order. */
const inBlock = (...lines: string[]) =>
  errorsOf(`.:53 {\n${lines.join("\n")}\n}\n`).map(({ what, word }) => `${what} ${word}`);

function printDirective({ name, args, block }: CorefileDirective, indent: string): string {
  const head = indent + [name, ...args].join(" ");
  if (block.length === 0) return `${head}\n`;
  return `${head} {\n${block.map((line) => printDirective(line, `${indent}  `)).join("")}${indent}}\n`;
}
const print = (servers: readonly CorefileServer[]) =>
  servers
    .map(({ zones, port, scheme, directives }) => {
      const keys = zones.map((zone) => `${scheme}://${zone}:${port}`).join(", ");
      return `${keys} {\n${directives.map((directive) => printDirective(directive, "  ")).join("")}}\n`;
    })
    .join("");
const withoutLines = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (key, one) => (key === "line" ? undefined : one)));

describe("what a Corefile says", () => {
  it("gives the servers with their directives", () => {
    const { value, gaps } = parseCorefile(KUBEADM);
    const [server] = value.servers;
    expect(gaps).toEqual([]);
    expect(value.errors).toEqual([]);
    expect(server).toMatchObject({ zones: ["."], port: 53, scheme: "dns", line: 1 });
    expect(server?.directives.map((directive) => directive.name).join(" ")).toBe(
      "errors health ready kubernetes prometheus forward cache loop reload loadbalance",
    );
    expect(server?.directives[1]).toEqual({
      name: "health",
      args: [],
      block: [{ name: "lameduck", args: ["5s"], block: [], line: 4 }],
      line: 3,
    });
    expect(server?.directives[5]).toMatchObject({ name: "forward", args: [".", "/etc/resolv.conf"], line: 13 });
  });

  it("reads NodeLocal DNSCache", () => {
    const { value, gaps } = parseCorefile(NODELOCAL);
    expect([...gaps, ...value.errors]).toEqual([]);
    expect(value.servers.map((server) => server.zones)).toEqual([["cluster.local"], ["."]]);
  });

  it("makes a server of every scheme and port, and reverse zones of ranges", () => {
    expect(
      serversOf("tls://Example.ORG. https://a:8443 grpc://. 10.0.0.0/23 fd00::/9:1053, b\n{\n whoami\n}\n").map(
        ({ scheme, zones, port }) => [scheme, port, zones.join(" ")],
      ),
    ).toEqual([
      ["tls", 853, "example.org"],
      ["https", 8443, "a"],
      ["grpc", 443, "."],
      ["dns", 53, "0.0.10.in-addr.arpa 1.0.10.in-addr.arpa b"],
      [
        "dns",
        1053,
        ["0", "1", "2", "3", "4", "5", "6", "7"]
          .map((digit) => `${digit}.d.f.ip6.arpa`)
          .join(" ")
          .replace("0.d.f", "0.d.f"),
      ],
    ]);
  });

  it("needs no braces around a single server", () => {
    expect(
      serversOf("cluster.local:1053\nerrors\ncache 30").map(({ zones, port, directives }) => [
        zones,
        port,
        directives.length,
      ]),
    ).toEqual([[["cluster.local"], 1053, 2]]);
    expect(serversOf("a b:54")).toMatchObject([
      { zones: ["a"], port: 53, directives: [] },
      { zones: ["b"], port: 54 },
    ]);
  });

  it("puts snippets in the place of their imports, in servers and in directives", () => {
    const text =
      "(common) {\n  errors\n  log\n}\n(slow) {\n  expire 30s\n}\n. {\n  import common\n  forward . 1.1.1.1 {\n    import slow\n    max_fails 3\n  }\n}\n";
    const { value, gaps } = parseCorefile(text);
    expect([...gaps, ...value.errors]).toEqual([]);
    expect(value.servers).toHaveLength(1);
    expect(value.servers[0]?.directives.map(({ name, line }) => [name, line])).toEqual([
      ["errors", 2],
      ["log", 3],
      ["forward", 10],
    ]);
    expect(value.servers[0]?.directives[2]?.block.map(({ name }) => name)).toEqual(["expire", "max_fails"]);
  });

  it("says that it does not know what imported files hold (AKS imports custom/*)", () => {
    const { value, gaps } = parseCorefile(
      ".:53 {\n  errors\n  import custom/*.override\n  cache 30\n}\nimport custom/*.server\n",
    );
    expect(value.errors).toEqual([]);
    expect(value.servers[0]?.directives.map(({ name, args }) => [name, ...args].join(" "))).toEqual([
      "errors",
      "import custom/*.override",
      "cache 30",
    ]);
    expect(gaps).toEqual([
      { line: 3, what: "what custom/*.override holds is not known" },
      { line: 6, what: "what custom/*.server holds is not known" },
    ]);
  });

  it("reads comments, quotes and carriage returns as CoreDNS does", () => {
    const text =
      '\ufeff. { # all\r\n  log . "{remote} \\"{name}\\"" {\r\n    class error#x all\r\n  }\r\n  #cache 30\r\n  hosts { # names\n  10.0.0.1 "a\nb" c\n  }\n}\n';
    const [server] = serversOf(text);
    expect(server?.directives).toMatchObject([
      { name: "log", args: [".", '{remote} "{name}"'], block: [{ name: "class", args: ["error", "all"] }] },
      { name: "hosts", block: [{ name: "10.0.0.1", args: ["a\nb", "c"], line: 7 }] },
    ]);
  });

  it("says where it depends on CoreDNS' environment", () => {
    const { value, gaps } = parseCorefile("{$DOMAIN}:53 .:{$PORT} a {\n  forward . {$UPSTREAM}\n}\n");
    expect(value.errors).toEqual([]);
    expect(value.servers.map(({ zones, port }) => [zones, port])).toEqual([[["{$DOMAIN}", "a"], 53]]);
    expect(gaps).toHaveLength(2);
  });

  it("says that an empty one is empty: CoreDNS then answers with whoami", () => {
    expect(parseCorefile(" \n")).toEqual({ value: { servers: [], errors: [] }, gaps: [{ what: "empty" }] });
  });

  it("reads back what it is printed as", () => {
    const word = fc.stringMatching(/^[a-z0-9./:%_-]{1,10}$/).filter((one) => one !== "import");
    const line = fc.record({
      name: word,
      args: fc.array(word, { maxLength: 3 }),
      block: fc.constant([]),
      line: fc.constant(0),
    });
    const directive = fc.record({
      name: word,
      args: fc.array(word, { maxLength: 3 }),
      block: fc.array(line, { maxLength: 3 }),
      line: fc.constant(0),
    });
    const server = fc.record({
      zones: fc.uniqueArray(fc.constantFrom(".", "a", "b.c", "cluster.local"), { minLength: 1 }),
      port: fc.nat(65535),
      scheme: fc.constantFrom("dns", "tls", "quic", "grpc", "https", "https3"),
      directives: fc.array(directive, { maxLength: 4 }),
      line: fc.constant(0),
    });
    fc.assert(
      fc.property(fc.array(server, { minLength: 1, maxLength: 3 }), (servers) => {
        expect(withoutLines(serversOf(print(servers)))).toEqual(withoutLines(servers));
      }),
      { numRuns: RUNS },
    );
  });

  it("never throws", () => {
    neverThrows(parseCorefile, KUBEADM);
    fc.assert(
      fc.property(
        mutationsOf(`(a) {\n log\n}\n(b) {\n import a\n}\n${NODELOCAL.replaceAll("reload", "import b")}`),
        (text) => {
          parseCorefile(text);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("does not choke on snippets that multiply", () => {
    const bomb = Array.from({ length: 30 }, (_, i) => `(s${i + 1}) {\nimport s${i}\nimport s${i}\n}\n`).join("");
    const { gaps } = parseCorefile(`(s0) {\nlog\n}\n${bomb}. {\nimport s30\n}\n`);
    expect(gaps.at(-1)?.what).toBe("imports more than is read");
    expect(errorsOf("(a) {\nimport b\n}\n(b) {\nimport a\n}\n. {\nimport a\n}\n")).toEqual([]);
    expect(parseCorefile(`. {\n${"forward {\n".repeat(20_000)}`).value.errors).toHaveLength(1);
  });
});

/** Each was tried on CoreDNS 1.14.3, which stopped at the same place. */
describe("what CoreDNS refuses to start with", () => {
  it("names an unknown directive, and which one was meant", () => {
    expect(errorsOf(KUBEADM.replace("forward ", "forwrd "))).toEqual([
      { line: 13, what: "unknown-directive", word: "forwrd", meant: "forward" },
    ]);
    expect(
      errorsOf(". {\n  k8s_gateway x\n  proxy . 1.1.1.1\n  cahce\n  {$EXTRA}\n}\n").map(({ word, meant }) => [
        word,
        meant,
      ]),
    ).toEqual([
      ["k8s_gateway", undefined],
      ["proxy", undefined],
      ["cahce", "cache"],
    ]);
  });

  it("names where the braces do not match", () => {
    const syntax = (text: string) =>
      errorsOf(text)
        .filter(({ what }) => what === "syntax")
        .map(({ line, word }) => `${line} ${word}`);
    expect(syntax(KUBEADM.slice(0, -2))).toEqual(["1 {"]);
    expect(syntax(".:53 { errors }\n")).toEqual(["1 }"]);
    expect(syntax(".:53 {\n  errors\n  cache 30 {\n")).toEqual(["3 cache"]);
    expect(syntax("a,\n{\n}\n")).toEqual(["2 {"]);
    expect(syntax("(a) {\n}\n(a) {\n}\n")).toEqual(["3 {"]);
    expect(syntax("(a) {\n  import a\n}\n")).toEqual(["2 import"]);
    expect(syntax(". {\n  import\n}\n")).toEqual(["2 import"]);
  });

  it("lets pass what CoreDNS lets pass, however odd", () => {
    // the brace of the directive closes the server; one too many is a zone
    expect(errorsOf(". {\n  forward . 1.1.1.1 {\n    max_fails 3\n}\n")).toEqual([]);
    expect(errorsOf(`${KUBEADM}}\n`)).toEqual([]);
    expect(serversOf(`${KUBEADM}}\n`)[1]?.zones).toEqual(["}"]);
    expect(errorsOf("{\n  errors\n}\n")).toEqual([]);
  });

  it("names zones that are none", () => {
    for (const key of [":53", "a..b", ".:", ".:99999", ".:-1", `${"x".repeat(64)}.org`]) {
      expect(errorsOf(`${key} {\n  whoami\n}\n`)).toEqual([{ line: 1, what: "syntax", word: key }]);
    }
    expect(errorsOf("{$DOMAIN}:53 {\n  whoami\n}\n")).toEqual([]);
  });

  it("names a zone that is served twice on one port", () => {
    const blocks = (...heads: string[]) =>
      errorsOf(heads.map((head) => `${head}\n  whoami\n}\n`).join("")).map(({ word }) => word);
    expect(blocks(".:53 {", ". {")).toEqual([".:53"]);
    expect(blocks("10.0.0.0/23 {", "1.0.10.in-addr.arpa {")).toEqual(["1.0.10.in-addr.arpa:53"]);
    expect(blocks(". {", "tls://. {", ".:54 {", "a {")).toEqual([]);
    expect(blocks(". {\n  bind 127.0.0.1", ". {\n  bind 127.0.0.2")).toEqual([]);
    expect(blocks(". {\n  bind 127.0.0.1", ". {\n  bind 127.0.0.1")).toEqual([".:53"]);
    expect(blocks(". {\n  bind 127.0.0.1", ". {")).toEqual([".:53"]);
    expect(blocks(". {\n  view v {\n    expr true\n  }", ". {")).toEqual([]);
  });

  it("knows what cache takes (seed 004: prefetch has a duration before its percentage)", () => {
    expect(inBlock("cache 30 {", "prefetch 10 10%", "}")).toEqual(["bad-arguments 10%"]);
    expect(
      inBlock(
        "cache 30 cluster.local {",
        "success 9984 30 5",
        "denial 9984 5",
        "prefetch 10 1m 10%",
        "servfail 5s",
        "serve_stale 1h immediate",
        "}",
      ),
    ).toEqual([]);
    expect(inBlock("cache 0")).toEqual(["bad-arguments 0"]);
    expect(inBlock("cache {", "prefetch 10 1m 95%", "}")).toEqual(["bad-arguments 95%"]);
    expect(inBlock("cache {", "servfail 6m", "}")).toEqual(["bad-arguments 6m"]);
    expect(inBlock("cache {", "disable all", "}")).toEqual(["bad-arguments all"]);
    expect(inBlock("cache", "cache 30")).toEqual(["bad-arguments cache"]);
    expect(errorsOf(". {\n  cache {\n    sucess 9984\n  }\n}\n")).toEqual([
      { line: 3, what: "bad-arguments", word: "sucess", meant: "success" },
    ]);
  });

  it("knows what forward takes", () => {
    const upstreams = (count: number) => Array.from({ length: count }, (_, i) => `10.0.0.${i + 1}`).join(" ");
    expect(
      inBlock(
        `forward . ${upstreams(15)} {`,
        "policy sequential",
        "health_check 500ms no_rec",
        "max_fails 0",
        "except a b",
        "tls_servername x",
        "}",
      ),
    ).toEqual([]);
    expect(inBlock(`forward . ${upstreams(16)}`)).toEqual(["bad-arguments 10.0.0.16"]);
    expect(inBlock("forward .")).toEqual(["bad-arguments forward"]);
    expect(inBlock("forward . 1.1.1.1 {", "policy rand", "}")).toEqual(["bad-arguments rand"]);
    expect(inBlock("forward . 1.1.1.1 {", "expire 10", "}")).toEqual(["bad-arguments 10"]);
    expect(inBlock("forward . 1.1.1.1 {", "max_concurent 1000", "}")).toEqual(["bad-arguments max_concurent"]);
    expect(inBlock("forward . {$UPSTREAM} {", "expire {$EXPIRE}", "}")).toEqual([]);
    expect(inBlock("forward a 1.1.1.1", "forward b tls://9.9.9.9 8.8.8.8:53")).toEqual([]);
  });

  it("knows what kubernetes takes", () => {
    expect(inBlock("kubernetes in-addr.arpa ip6.arpa")).toEqual(["bad-arguments in-addr.arpa"]);
    expect(inBlock("kubernetes cluster.local {", "upstream", "}")).toEqual(["bad-arguments upstream"]);
    expect(inBlock("kubernetes cluster.local {", "pods all", "}")).toEqual(["bad-arguments all"]);
    expect(inBlock("kubernetes cluster.local {", "ttl 3601", "}")).toEqual(["bad-arguments 3601"]);
    expect(inBlock("kubernetes cluster.local {", "namespaces a", "namespace_labels b=c", "}")).toEqual([
      "bad-arguments namespace_labels",
    ]);
    expect(inBlock("kubernetes cluster.local", "{", "pods insecure", "}")).toEqual(["bad-arguments {"]);
    expect(
      inBlock(
        "kubernetes cluster.local {",
        "endpoint https://10.0.0.1:6443",
        "labels a=b, c in (d)",
        "noendpoints",
        "endpoint_pod_names",
        "startup_timeout 5s",
        "}",
      ),
    ).toEqual([]);
  });

  it("knows what the small ones take", () => {
    expect(inBlock("errors {", 'consolidate 5m ".* i/o timeout$" warning', "}", "errors stdout")).toEqual([
      "bad-arguments errors",
    ]);
    expect(inBlock("errors /var/log/coredns")).toEqual(["bad-arguments /var/log/coredns"]);
    expect(inBlock("health 8080")).toEqual(["bad-arguments 8080"]);
    expect(inBlock("health :8080 { lameduck 5s }")).toEqual(["bad-arguments }"]);
    expect(inBlock("health {", "lameduck 5", "}")).toEqual(["bad-arguments 5"]);
    expect(inBlock("ready localhost")).toEqual(["bad-arguments localhost"]);
    expect(inBlock("loop 10s")).toEqual(["bad-arguments 10s"]);
    expect(inBlock("reload 1s")).toEqual(["bad-arguments 1s"]);
    expect(
      inBlock(
        "reload 10s 0s",
        "loadbalance round_robin",
        "prometheus 0.0.0.0:9153",
        "ready :8181",
        "health [::1]:8080",
      ),
    ).toEqual([]);
    expect(inBlock("loadbalance random")).toEqual(["bad-arguments random"]);
    expect(inBlock("prometheus")).toEqual([]);
    expect(inBlock("log . {", "class errors", "}")).toEqual(["bad-arguments errors"]);
  });

  it("knows that hosts takes no entries after fallthrough", () => {
    expect(inBlock("hosts /etc/coredns/NodeHosts {", "10.0.0.1 a", "ttl 60", "reload 15s", "fallthrough", "}")).toEqual(
      [],
    );
    expect(inBlock("hosts {", "fallthrough", "10.0.0.1 a", "}")).toEqual(["bad-arguments 10.0.0.1"]);
    expect(inBlock("hosts {", "ttl 0", "}")).toEqual(["bad-arguments 0"]);
  });

  it("knows the rules of rewrite, on a line and in a block", () => {
    expect(
      inBlock(
        "rewrite name a.org b.org",
        "rewrite stop {",
        "name regex (.*)\\.a b.{1}",
        "answer name b a",
        "}",
        "rewrite class CH IN",
      ),
    ).toEqual([]);
    expect(inBlock("rewrite nane a.org b.org")).toEqual(["bad-arguments nane"]);
    expect(inBlock("rewrite type A")).toEqual(["bad-arguments type"]);
    expect(inBlock("rewrite {", "answer name b a", "}")).toEqual(["bad-arguments answer"]);
  });

  it("tells errors in the order in which CoreDNS would", () => {
    const text = ". {\n  forward .\n  bogus\n  cache 0\n}\n. {\n  whoami\n}\n";
    expect(errorsOf(text).map(({ line, what }) => `${line} ${what}`)).toEqual([
      "3 unknown-directive",
      "4 bad-arguments",
      "2 bad-arguments",
      "6 duplicate-zone",
    ]);
  });
});
