/** Every planted secret is gone, and what is no secret stays. Recordings: testing/scenarios/recordings.test.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redact } from "../../testing/rewriting.ts";

// made up for this test; in parts, so that no scanner takes them for real ones
const JWT = ["eyJhbGciOiJSUzI1NiIs", "eyJzdWIiOiJzeXN0ZW0", "c2lnbmF0dXJlc2lnbmF0dXJl"].join(".");
const DETACHED = ["eyJhbGciOiJIUzI1NiIs", "", "c2lnbmF0dXJlc2lnbmF0dXJl"].join(".");
const AWS = `AKIA${"IOSFODNN7EXAMPLE"}`;
const GITHUB = `ghp_${"a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"}`;
const KEY_BODY = "MIIEpAIBAAKCAQEAplantedplantedplanted";
const PEM = (end: string) => `-----BEGIN RSA PRIVATE KEY-----${end}${KEY_BODY}${end}-----END RSA PRIVATE KEY-----`;

describe("in text", () => {
  it.each([
    ["a token", `could not verify ${JWT} of the client`, JWT],
    ["a detached one", `jws-kubeconfig-abcdef: ${DETACHED}`, DETACHED],
    ["a header", "Authorization: Bearer planted-planted-planted", "planted-planted-planted"],
    ["basic auth", "authorization: basic cGxhbnRlZDpwbGFudGVk", "cGxhbnRlZDpwbGFudGVk"],
    ["a URL", "dial postgres://shop:pl4nted@db.data:5432/shop: refused", "pl4nted"],
    ["a flag", "args: --token=planted1234 --v=2", "planted1234"],
    ["a flag with a space", "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef", "abcdef.0123456789abcdef"],
    ["YAML", "  password: hunter22", "hunter22"],
    ["JSON", '{"clientSecret":"planted/secret"}', "planted/secret"],
    ["escaped JSON", '{\\"apiKey\\":\\"plantedKey99\\"}', "plantedKey99"],
    ["an environment dump", "DB_PASSWORD=planted!pw", "planted!pw"],
    ["a key of AWS", `using ${AWS}`, AWS],
    ["a token of GitHub", `git clone with ${GITHUB}`, GITHUB],
    ["a kubeconfig's key", "    client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURQ==", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURQ"],
    ["a private key", `first\n${PEM("\n")}\nlast`, KEY_BODY],
    ["a private key in one line", `key="${PEM("\\n")}"`, KEY_BODY],
  ])("%s", (_, line, secret) => {
    const { text, told } = redact("logs/a/b/c.log", `${line}\nnext\n`);
    expect(text).not.toContain(secret);
    expect(text.endsWith("next\n")).toBe(true);
    expect(told.length).toBeGreaterThan(0);
    expect(JSON.stringify(told)).not.toContain(secret);
  });

  it.each([
    'E1121 03:10:09.656118 1 server.go:687] "Failed" err="secrets \\"x\\" is forbidden: User \\"system:serviceaccount:a:b\\""',
    "error: the token is expired",
    "token: invalid",
    "--service-account-key-file=/etc/kubernetes/pki/sa.pub --token-ttl=24h",
    "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token",
    "password: $(DB_PASSWORD)",
    'RBAC: clusterrole.rbac.authorization.k8s.io "flannel" not found',
    "http://10.96.0.1:443/api/v1/namespaces?limit=500",
    '-A KUBE-SVC-XPGD46QRK7WJZT7O -m comment --comment "shop/secret:token" -j KUBE-SEP-XPGD46QRK7WJZT7O',
    "https://192.168.50.10:6443/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef",
  ])("leaves alone: %s", (line) => {
    expect(redact("logs/a/b/c.log", `${line}\n`)).toEqual({ text: `${line}\n`, told: [] });
  });

  it("comes out the same in whatever pieces it came, with as many lines", () => {
    const text = `a\nb ${JWT}\n${PEM("\n")}\npassword: hunter22\nend`;
    const whole = redact("x.log", text);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: text.length }), (pieces) => {
        expect(redact("x.log", text, pieces)).toEqual(whole);
      }),
    );
    expect(whole.text.split("\n").length).toBe(text.split("\n").length);
    expect(whole.told.map(({ line, what }) => [line, what])).toEqual([
      [2, "token"],
      [3, "private key"],
      [6, "password"],
    ]);
  });
});

describe("in objects", () => {
  const SECRET = {
    kind: "Secret",
    metadata: {
      name: "s",
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"a":"cGxhbnRlZA=="}}' },
    },
    data: { a: "cGxhbnRlZA==", "b/c": "cGxhbnRlZA==" },
  };
  const POD = {
    kind: "Pod",
    metadata: { name: "p" },
    spec: {
      containers: [
        {
          name: "c",
          args: [`--auth=${JWT}`],
          env: [
            { name: "DB_PASSWORD", value: "planted" },
            { name: "TOKEN_FILE", value: "/run/token" },
            { name: "MODE", value: "fast" },
          ],
        },
      ],
    },
  };

  it.each([
    ["a line each", "api/v1/things.jsonl", `${JSON.stringify(SECRET)}\n${JSON.stringify(POD)}\n`],
    ["in a list", "api/v1/things.json", JSON.stringify({ kind: "List", items: [SECRET, POD] })],
  ])("%s", (_, path, text) => {
    const { text: result, told } = redact(path, text);
    for (const secret of ["planted", "cGxhbnRlZA", JWT]) expect(result + JSON.stringify(told)).not.toContain(secret);
    for (const kept of ["/run/token", "fast", '"b/c"', "DB_PASSWORD"]) expect(result).toContain(kept);
    expect(told.map(({ what }) => what).sort()).toEqual(["Secret", "Secret", "Secret", "environment value", "token"]);
    expect(told.every(({ pointer }) => pointer?.startsWith("/"))).toBe(true);
  });

  it("items of a list of Secrets are Secrets, though they do not say so", () => {
    const { kind, ...item } = SECRET;
    const { text, told } = redact("api/v1/secrets.json", JSON.stringify({ kind: `${kind}List`, items: [item] }));
    expect(text).not.toContain("cGxhbnRlZA");
    expect(told.map(({ what }) => what)).toEqual(["Secret", "Secret", "Secret"]);
  });

  it("what Helm keeps in a ConfigMap is hidden, and what is kept of its releases is redacted as objects are", () => {
    const record = { metadata: { name: "r", labels: { owner: "helm" } }, data: { release: "H4sIplanted" } };
    expect(redact("api/v1/configmaps.jsonl", `${JSON.stringify(record)}\n`).text).not.toContain("planted");
    const other = { metadata: { name: "r", labels: { owner: "me" } }, data: { release: "kept" } };
    expect(redact("api/v1/configmaps.jsonl", `${JSON.stringify(other)}\n`).text).toContain("kept");
    expect(redact("helm/releases.jsonl", `${JSON.stringify({ objects: [POD] })}\n`).text).not.toContain("planted");
  });

  it("what an audit log tells of Secrets is as they are", () => {
    const of = { kind: "Event", apiVersion: "audit.k8s.io/v1", objectRef: { resource: "secrets", name: "db" } };
    const patched = { ...of, verb: "patch", requestObject: { data: { password: "cGxhbnRlZA==" } } };
    const made = { ...of, objectRef: { resource: "pods" }, requestObject: POD, responseObject: SECRET };
    const { text, told } = redact("audit/1-audit.log", `${JSON.stringify(patched)}\n${JSON.stringify(made)}\n`);
    for (const secret of ["planted", "cGxhbnRlZA"]) expect(text).not.toContain(secret);
    expect(text).toContain('"name":"db"');
    expect(told.map(({ line }) => line)).toContain(1);
  });

  it("what is cut off is text", () => {
    expect(redact("api/v1/things.jsonl", `{"kind":"Secret","data":{"password":"hunter22`).text).not.toContain(
      "hunter22",
    );
  });
});
