import { describe, expect, it } from "vitest";
import { sharing } from "./sharing.ts";

const pod = (name: string, image = "web:1") => ({
  metadata: { name, labels: { app: "web" }, ownerReferences: null, generation: 1 },
  spec: { containers: [{ name: "main", image }], tolerations: [] },
  status: null,
});

describe("equal parts of objects", () => {
  it("are one, and what is not equal stays apart", () => {
    const share = sharing();
    const [first, second, other] = [share(pod("a")), share(pod("b")), share(pod("c", "web:2"))];
    expect([first, second, other]).toEqual([pod("a"), pod("b"), pod("c", "web:2")]);
    expect(second.metadata.labels).toBe(first.metadata.labels);
    expect(second.spec.containers[0]).toBe(first.spec.containers[0]);
    expect(other.metadata.labels).toBe(first.metadata.labels);
    expect(other.spec.containers[0]).not.toBe(first.spec.containers[0]);
  });

  it("are told apart by their types", () => {
    const share = sharing();
    const ports = [80, "80", 443, "https"].map((port) => share({ spec: { ports: [{ port }] } }).spec.ports[0]!.port);
    expect(ports).toEqual([80, "80", 443, "https"]);
  });

  it("of any number of objects are right", () => {
    const share = sharing();
    const objects = Array.from({ length: 10_000 }, (_, index) => pod(`pod-${index}`, `web:${index % 5000}`));
    expect(objects.map(share)).toEqual(objects.map(({ metadata }, index) => pod(metadata.name, `web:${index % 5000}`)));
  });
});
