/**
 * The little of Kubernetes' protobuf that kubectl insists on: what it asks for in an access review.
 *
 * Format: `k8s\0`, then runtime.Unknown (apimachinery, pkg/runtime/generated.proto), whose field 2 is the object; fields
 * are tagged as https://protobuf.dev/programming-guides/encoding says.
 */

const MAGIC = [0x6b, 0x38, 0x73, 0];

type Field = { readonly number: number; readonly bytes: Uint8Array };

/** The fields of a message that hold bytes: texts and messages. Others are passed over. */
function fieldsOf(message: Uint8Array): readonly Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      fields.push({ number: Math.floor(tag / 8), bytes: message.subarray(at, at + length) });
      at += length;
    } else return undefined;
    if (!(at <= message.length)) return undefined;
  }
  return fields;
}

const decoder = new TextDecoder();

/** How the fields of a message are called: a text, or a message of its own. */
type Shape = { readonly [number: number]: string | readonly [name: string, shape: Shape] };

const ACCESS_REVIEW: Shape = {
  2: [
    "spec",
    {
      1: [
        "resourceAttributes",
        { 1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name" },
      ],
      2: ["nonResourceAttributes", { 1: "path", 2: "verb" }],
    },
  ],
};
const RULES_REVIEW: Shape = { 2: ["spec", { 1: "namespace" }] };

type Message = { [name: string]: string | Message };

function read(message: Uint8Array, shape: Shape): Message | undefined {
  const fields = fieldsOf(message);
  if (!fields) return undefined;
  const value: Message = {};
  for (const { number, bytes } of fields) {
    const field = shape[number];
    if (field === undefined) continue;
    if (typeof field === "string") value[field] = decoder.decode(bytes);
    else {
      const inner = read(bytes, field[1]);
      if (!inner) return undefined;
      value[field[0]] = inner;
    }
  }
  return value;
}

/**
 * A review as JSON has it.
 *
 * @returns undefined if the bytes are none
 */
export function readReview(kind: string, body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  if (!MAGIC.every((byte, index) => body[index] === byte)) return undefined;
  const object = fieldsOf(body.subarray(MAGIC.length))?.find(({ number }) => number === 2)?.bytes;
  if (!object) return undefined;
  return read(object, kind === "SelfSubjectAccessReview" ? ACCESS_REVIEW : RULES_REVIEW);
}
