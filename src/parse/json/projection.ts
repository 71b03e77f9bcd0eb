/**
 * Objects cut down to the fields that a schema knows, while they are still bytes.
 *
 * Of a Pod of eight kilobytes the model reads two or three. What nobody reads is passed over and never becomes a value:
 * JSON.parse and the schema then have that much less to do. What they make of the rest is what they would have made of
 * the whole; only what is passed over is not checked to be JSON.
 */
import { z } from "zod";
import {
  asciiBytes,
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  endOfString,
  endOfValue,
  INCOMPLETE,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  skipBetween,
} from "./bytes.ts";

/** What of a value is kept: all of it, or of each object in it these fields. The elements of an array are treated alike. */
export type Projection = "whole" | Fields;

/** By the length of their names. */
type Fields = readonly (readonly Field[] | undefined)[];
type Field = { readonly name: Uint8Array; readonly of: Projection };

/** What a schema reads. Of unions and records that is all. */
export function projectionOf(schema: z.ZodType): Projection {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
    return projectionOf(schema.unwrap() as z.ZodType);
  }
  if (schema instanceof z.ZodArray) return projectionOf(schema.element as z.ZodType);
  // a loose or strict object looks at fields that it does not name
  if (!(schema instanceof z.ZodObject) || schema.def.catchall !== undefined) return "whole";
  // such names may be written in several ways
  if (Object.keys(schema.shape).some((key) => !/^[\w.-]*$/.test(key))) return "whole";
  const fields: Field[][] = [];
  for (const [key, of] of Object.entries(schema.shape)) {
    const name = asciiBytes(key);
    const same = fields[name.length] ?? [];
    same.push({ name, of: projectionOf(of as z.ZodType) });
    fields[name.length] = same;
  }
  return fields;
}

export interface Projector {
  /**
   * Takes the value that begins at `at`.
   *
   * @returns where the next thing begins, or INCOMPLETE: then it is to be taken again, with more bytes
   */
  take(bytes: Uint8Array, at: number, end: number): number;
  /** What was kept of the value that was taken last, until another one is taken. */
  kept(): Uint8Array;
}

/** To copy so few bytes a loop is faster than a call. */
const FEW = 48;

/** One of them is used for many values, one after the other: it keeps its memory. */
export function projector(projection: Projection): Projector {
  let out = new Uint8Array(16 * 1024);
  let length = 0;

  function reserve(count: number): void {
    if (length + count <= out.length) return;
    const larger = new Uint8Array(Math.max(out.length * 2, length + count));
    larger.set(out.subarray(0, length));
    out = larger;
  }

  function put(byte: number): void {
    reserve(1);
    out[length++] = byte;
  }

  function copy(bytes: Uint8Array, from: number, to: number): void {
    reserve(to - from);
    if (to - from < FEW) for (let index = from; index < to; index++) out[length++] = bytes[index]!;
    else {
      out.set(bytes.subarray(from, to), length);
      length += to - from;
    }
  }

  function value(bytes: Uint8Array, at: number, end: number, kept: Projection): number {
    if (kept !== "whole") {
      if (bytes[at] === OPEN_OBJECT) return object(bytes, at, end, kept);
      if (bytes[at] === OPEN_ARRAY) return array(bytes, at, end, kept);
    }
    const after = endOfValue(bytes, at, end);
    if (after !== INCOMPLETE) copy(bytes, at, after);
    return after;
  }

  function array(bytes: Uint8Array, at: number, end: number, kept: Fields): number {
    put(OPEN_ARRAY);
    let index = at + 1;
    for (let count = 0; ; count++) {
      index = skipBetween(bytes, index, end);
      if (index >= end) return INCOMPLETE;
      if (bytes[index] === CLOSE_ARRAY) break;
      if (count > 0) put(COMMA);
      const after = value(bytes, index, end, kept);
      if (after === INCOMPLETE) return INCOMPLETE;
      index = Math.max(after, index + 1);
    }
    put(CLOSE_ARRAY);
    return index + 1;
  }

  function object(bytes: Uint8Array, at: number, end: number, fields: Fields): number {
    put(OPEN_OBJECT);
    let index = at + 1;
    let count = 0;
    for (;;) {
      index = skipBetween(bytes, index, end);
      if (index >= end) return INCOMPLETE;
      if (bytes[index] === CLOSE_OBJECT) break;
      let closing = index + 1;
      while (closing < end && bytes[closing] !== QUOTE && bytes[closing] !== BACKSLASH) closing++;
      // what a name with an escape stands for is for JSON.parse to say: it is kept
      const isEscaped = bytes[closing] === BACKSLASH;
      if (isEscaped) closing = endOfString(bytes, index, end);
      if (closing === INCOMPLETE) return INCOMPLETE;
      const start = skipBetween(bytes, closing + 1, end);
      if (start >= end) return INCOMPLETE;
      const kept = isEscaped ? "whole" : fieldAt(bytes, index + 1, closing, fields);
      let after: number;
      if (kept === undefined) after = endOfValue(bytes, start, end);
      else {
        if (count++ > 0) put(COMMA);
        copy(bytes, index, closing + 1);
        put(COLON);
        after = value(bytes, start, end, kept);
      }
      if (after === INCOMPLETE) return INCOMPLETE;
      index = Math.max(after, start + 1);
    }
    put(CLOSE_OBJECT);
    return index + 1;
  }

  return {
    take(bytes, at, end) {
      length = 0;
      return value(bytes, at, end, projection);
    },
    kept: () => out.subarray(0, length),
  };
}

function fieldAt(bytes: Uint8Array, from: number, to: number, fields: Fields): Projection | undefined {
  for (const { name, of } of fields[to - from] ?? []) {
    let index = 0;
    while (index < name.length && name[index] === bytes[from + index]) index++;
    if (index === name.length) return of;
  }
  return undefined;
}
