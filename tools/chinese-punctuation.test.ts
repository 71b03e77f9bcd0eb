import { expect, it } from "vitest";
import { inTypeScript, punctuated } from "./chinese-punctuation.ts";

it.each([
  ["节点异常,报文丢失;见下:原因?", "节点异常\uff0c报文丢失\uff1b见下\uff1a原因\uff1f"],
  ["{title}(另有节点 {nodes})", "{title}\uff08另有节点 {nodes}\uff09"],
  ["丢失权限:{role} 不存在,因此", "丢失权限\uff1a{role} 不存在\uff0c因此"],
  ["无法解析(第 {line} 行):CoreDNS 停止", "无法解析\uff08第 {line} 行\uff09\uff1aCoreDNS 停止"],
  ["先执行 `kubectl get -l a,b`, 再重试", "先执行 `kubectl get -l a,b`\uff0c再重试"],
  ["{ip}:{port} 无应答", "{ip}:{port} 无应答"],
  ["{count:个|个}节点", "{count:个|个}节点"],
  ["English, with (brackets): stays", "English, with (brackets): stays"],
  ["版本 1.2.3, 见 https://a.b/c?d=e", "版本 1.2.3\uff0c见 https://a.b/c?d=e"],
])("%s", (text, better) => {
  expect(punctuated(text)).toBe(better);
  expect(punctuated(better)).toBe(better);
});

it("finds Chinese texts in TypeScript, and leaves code in them alone", () => {
  const source = (mark: string) => `{ en: "a, b", zh: \`先看 \\\`ip a,b\\\`${mark}再看 \\\`x:y\\\`${mark}然后\` }`;
  expect(inTypeScript(source(","))).toBe(source("\uff0c"));
});
