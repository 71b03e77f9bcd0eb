import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseIdentitySelector } from "../selectors/cilium.ts";
import { parseCiliumEndpoints } from "./endpoints.ts";
import { parseCiliumIdentities } from "./identities.ts";

/** Cilium 1.15.19 in the recording cilium-healthy: the host, a backend and a frontend, shortened. */
const ENDPOINTS = `[
 {
  "id": 25,
  "status": {
   "external-identifiers": {
    "pod-name": "/"
   },
   "identity": {
    "id": 1,
    "labels": [
     "reserved:host"
    ]
   },
   "networking": {
    "addressing": [
     {}
    ],
    "host-mac": "1e:d7:63:e7:42:0c",
    "interface-name": "cilium_host",
    "mac": "1e:d7:63:e7:42:0c"
   },
   "policy": {
    "realized": {
     "allowed-egress-identities": [
      0
     ],
     "allowed-ingress-identities": [
      0
     ],
     "build": 5,
     "denied-egress-identities": null,
     "denied-ingress-identities": null,
     "id": 1,
     "l4": {
      "egress": [],
      "ingress": []
     },
     "policy-enabled": "none",
     "policy-revision": 5
    }
   },
   "realized": {
    "options": {
     "PolicyAuditMode": "Disabled"
    }
   },
   "state": "ready"
  }
 },
 {
  "id": 871,
  "status": {
   "external-identifiers": {
    "pod-name": "shop/backend-56bf5fd956-z2g7b"
   },
   "identity": {
    "id": 326,
    "labels": [
     "k8s:app=backend",
     "k8s:io.kubernetes.pod.namespace=shop"
    ]
   },
   "networking": {
    "addressing": [
     {
      "ipv4": "10.244.2.209",
      "ipv4-pool-name": "default"
     }
    ],
    "interface-index": 19,
    "interface-name": "lxc872a1cb18e88"
   },
   "policy": {
    "realized": {
     "allowed-egress-identities": [
      0
     ],
     "allowed-ingress-identities": [
      1
     ],
     "build": 5,
     "denied-egress-identities": null,
     "denied-ingress-identities": null,
     "id": 326,
     "l4": {
      "egress": [],
      "ingress": [
       {
        "derived-from-rules": [
         [
          "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy",
          "k8s:io.cilium.k8s.policy.name=backend-ingress",
          "k8s:io.cilium.k8s.policy.namespace=shop"
         ]
        ],
        "rule": "{\\"port\\":8080,\\"protocol\\":\\"TCP\\",\\"l7-rules\\":[{\\"\\\\u0026LabelSelector{MatchLabels:map[string]string{k8s.app: frontend,k8s.io.kubernetes.pod.namespace: shop,},MatchExpressions:[]LabelSelectorRequirement{},}\\":null},{\\"\\\\u0026LabelSelector{MatchLabels:map[string]string{k8s.io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: tools,},MatchExpressions:[]LabelSelectorRequirement{},}\\":null}]}"
       },
       {
        "derived-from-rules": [
         [
          "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy",
          "k8s:io.cilium.k8s.policy.name=backend-ingress",
          "k8s:io.cilium.k8s.policy.namespace=shop"
         ]
        ],
        "rule": "{\\"port\\":8081,\\"protocol\\":\\"UDP\\",\\"l7-rules\\":[{\\"\\\\u0026LabelSelector{MatchLabels:map[string]string{k8s.app: frontend,k8s.io.kubernetes.pod.namespace: shop,},MatchExpressions:[]LabelSelectorRequirement{},}\\":null},{\\"\\\\u0026LabelSelector{MatchLabels:map[string]string{k8s.io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: tools,},MatchExpressions:[]LabelSelectorRequirement{},}\\":null}]}"
       }
      ]
     },
     "policy-enabled": "ingress",
     "policy-revision": 5
    }
   },
   "realized": {
    "options": {
     "PolicyAuditMode": "Disabled"
    }
   },
   "state": "ready"
  }
 },
 {
  "id": 1228,
  "status": {
   "external-identifiers": {
    "pod-name": "shop/frontend-7f78cbd994-rvwx5"
   },
   "identity": {
    "id": 27867,
    "labels": [
     "k8s:app=frontend",
     "k8s:io.kubernetes.pod.namespace=shop"
    ]
   },
   "networking": {
    "addressing": [
     {
      "ipv4": "10.244.2.243",
      "ipv4-pool-name": "default"
     }
    ],
    "interface-index": 17,
    "interface-name": "lxcc4a16ea794b0"
   },
   "policy": {
    "realized": {
     "allowed-egress-identities": [
      326
     ],
     "allowed-ingress-identities": [
      1,
      0
     ],
     "build": 5,
     "denied-egress-identities": null,
     "denied-ingress-identities": null,
     "id": 27867,
     "l4": {
      "egress": [
       {
        "derived-from-rules": [
         [
          "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy",
          "k8s:io.cilium.k8s.policy.name=frontend-egress",
          "k8s:io.cilium.k8s.policy.namespace=shop"
         ]
        ],
        "rule": "{\\"port\\":0,\\"protocol\\":\\"ANY\\",\\"l7-rules\\":[{\\"\\\\u0026LabelSelector{MatchLabels:map[string]string{k8s.app: backend,k8s.io.kubernetes.pod.namespace: shop,},MatchExpressions:[]LabelSelectorRequirement{},}\\":null}]}"
       },
       {
        "derived-from-rules": [
         [
          "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy",
          "k8s:io.cilium.k8s.policy.name=frontend-egress",
          "k8s:io.cilium.k8s.policy.namespace=shop"
         ]
        ],
        "rule": "{\\"port\\":53,\\"protocol\\":\\"UDP\\",\\"l7-rules\\":[{\\"\\\\u0026LabelSelector{MatchLabels:map[string]string{k8s.io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: kube-system,k8s.k8s-app: kube-dns,},MatchExpressions:[]LabelSelectorRequirement{},}\\":null}]}"
       },
       {
        "derived-from-rules": [
         [
          "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy",
          "k8s:io.cilium.k8s.policy.name=frontend-egress",
          "k8s:io.cilium.k8s.policy.namespace=shop"
         ]
        ],
        "rule": "{\\"port\\":53,\\"protocol\\":\\"TCP\\",\\"l7-rules\\":[{\\"\\\\u0026LabelSelector{MatchLabels:map[string]string{k8s.io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: kube-system,k8s.k8s-app: kube-dns,},MatchExpressions:[]LabelSelectorRequirement{},}\\":null}]}"
       }
      ],
      "ingress": []
     },
     "policy-enabled": "egress",
     "policy-revision": 5
    }
   },
   "realized": {
    "options": {
     "PolicyAuditMode": "Disabled"
    }
   },
   "state": "ready"
  }
 }
]`;

const requirement = (key: string, ...values: string[]) => ({ key, operator: "In", values });

describe("cilium-dbg endpoint list -o json", () => {
  const { value, gaps } = parseCiliumEndpoints(ENDPOINTS);
  const [host, backend, frontend] = value;

  it("gives whom an agent connects, and by which device", () => {
    expect(gaps).toEqual([]);
    expect(host).toMatchObject({ id: 25, identity: 1, addresses: [], device: "cilium_host", index: 0 });
    expect(host?.pod).toBeUndefined();
    expect(backend).toMatchObject({
      id: 871,
      state: "ready",
      identity: 326,
      addresses: ["10.244.2.209"],
      device: "lxc872a1cb18e88",
      pod: "shop/backend-56bf5fd956-z2g7b",
      audits: false,
      index: 1,
    });
  });

  it("gives the policy in force: who may do all, and the rules by port", () => {
    expect(backend?.policy?.egress).toEqual({ allowed: [0], denied: [], rules: [] });
    expect(backend?.policy?.ingress.allowed).toEqual([1]);
    expect(backend?.policy?.ingress.rules[0]).toEqual({
      port: 8080,
      protocol: "TCP",
      peers: [
        {
          requirements: [requirement("k8s.app", "frontend"), requirement("k8s.io.kubernetes.pod.namespace", "shop")],
          action: "allow",
        },
        {
          requirements: [requirement("k8s.io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name", "tools")],
          action: "allow",
        },
      ],
      from: ["shop/backend-ingress"],
    });
    expect(frontend?.policy?.egress.rules.map(({ port, protocol }) => `${port}/${protocol}`)).toEqual([
      "0/ANY",
      "53/UDP",
      "53/TCP",
    ]);
  });

  it("tells a rule that denies from one that a proxy decides", () => {
    const rule = (what: unknown) =>
      JSON.stringify({
        rule: JSON.stringify({ port: 80, protocol: "TCP", "l7-rules": [{ "&LabelSelector{}": what }] }),
      });
    const list = `[{"id": 1, "status": {"state": "ready", "policy": {"realized": {"l4": {"ingress": [${rule(
      null,
    )}, ${rule({ IsDeny: true })}, ${rule({ http: [{}] })}, {"rule": "{}"}]}}}}}]`;
    const { value: read, gaps: left } = parseCiliumEndpoints(list);
    const { rules, unreadable } = read[0]!.policy!.ingress;
    expect(rules.map(({ peers }) => peers[0]?.action)).toEqual(["allow", "deny", "other"]);
    expect(unreadable).toBe(true);
    // the list is whole all the same: of whom else it tells is known
    expect(left).toEqual([]);
  });

  it("takes a port's name for the endpoint's own number where others send to it", () => {
    const rule = { rule: JSON.stringify({ port: 0, "port-name": "http", protocol: "TCP", "l7-rules": [] }) };
    const list = JSON.stringify([
      {
        id: 1,
        status: {
          state: "ready",
          "named-ports": [
            { name: "http", port: 8080, protocol: "TCP" },
            { name: "http", port: 8090, protocol: "UDP" },
          ],
          policy: { realized: { l4: { ingress: [rule], egress: [rule] } } },
        },
      },
    ]);
    const { ingress, egress } = parseCiliumEndpoints(list).value[0]!.policy!;
    expect(ingress.rules.map(({ port }) => port)).toEqual([8080]);
    expect(egress).toMatchObject({ rules: [], unreadable: true });
  });

  it("never throws", () => neverThrows(parseCiliumEndpoints, JSON.stringify(JSON.parse(ENDPOINTS).slice(1))));
  it("never invents from a part", () =>
    truncationsAreHonest(parseCiliumEndpoints, JSON.stringify(JSON.parse(ENDPOINTS).slice(1, 2)), (list) => list));
});

describe("selectors of identities", () => {
  it("reads Go's print of one", () => {
    expect(
      parseIdentitySelector(
        "&LabelSelector{MatchLabels:map[string]string{k8s.app: backend,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k8s.tier,Operator:In,Values:[api web],},LabelSelectorRequirement{Key:any.x,Operator:Exists,Values:[],},},}",
      ),
    ).toEqual([
      requirement("k8s.app", "backend"),
      requirement("k8s.tier", "api", "web"),
      { key: "any.x", operator: "Exists", values: [] },
    ]);
    expect(
      parseIdentitySelector(
        "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}",
      ),
    ).toEqual([]);
  });

  it("reads JSON", () =>
    expect(parseIdentitySelector('{"matchLabels":{"k8s:app":"backend"},"matchExpressions":[]}')).toEqual([
      requirement("k8s.app", "backend"),
    ]));

  it("does not guess what it does not know", () => {
    for (const text of [
      "MatchName: example.org, MatchPattern: ",
      "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:a,Operator:Gt,Values:[1],},},}",
      '{"matchLabels":{"a":1}}',
      "{",
    ])
      expect(parseIdentitySelector(text), text).toBeUndefined();
  });
});

describe("cilium-dbg identity list -o json", () => {
  const SAMPLE = `[
  {"id": 1, "labels": ["reserved:host"]},
  {"id": 326, "labels": ["k8s:app=backend", "k8s:io.kubernetes.pod.namespace=shop"]}
]
`;
  it("gives the labels of each", () =>
    expect(parseCiliumIdentities(SAMPLE)).toEqual({
      value: [
        { id: 1, labels: ["reserved:host"] },
        { id: 326, labels: ["k8s:app=backend", "k8s:io.kubernetes.pod.namespace=shop"] },
      ],
      gaps: [],
    }));
  it("never throws", () => neverThrows(parseCiliumIdentities, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseCiliumIdentities, SAMPLE, (list) => list));
});
