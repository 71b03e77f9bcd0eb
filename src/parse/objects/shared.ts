/** What objects of all kinds are made of. */
import { z } from "zod";

export const text = z.string();
export const number = z.number();
export const flag = z.boolean();
export const maybe = <T extends z.ZodType>(schema: T) => schema.nullish();
export const labels = maybe(z.record(text, text));
export const intOrString = z.union([number, text]);

export const metadata = z.object({
  name: text,
  namespace: maybe(text),
  uid: maybe(text),
  labels,
  annotations: labels,
  creationTimestamp: maybe(text),
  deletionTimestamp: maybe(text),
  generation: maybe(number),
  resourceVersion: maybe(text),
  ownerReferences: maybe(z.array(z.object({ kind: text, name: text, uid: maybe(text), controller: maybe(flag) }))),
  managedFields: maybe(z.array(z.object({ manager: maybe(text), operation: maybe(text), time: maybe(text) }))),
});

export const labelSelector = z.object({
  matchLabels: labels,
  matchExpressions: maybe(z.array(z.object({ key: text, operator: text, values: maybe(z.array(text)) }))),
});

export const condition = z.object({
  type: text,
  status: text,
  reason: maybe(text),
  message: maybe(text),
  lastTransitionTime: maybe(text),
});

export type Metadata = z.infer<typeof metadata>;
export type LabelSelector = z.infer<typeof labelSelector>;
