/**
 * The bytes of a Helm record: base64 of gzip of JSON (helm.sh/helm/v3 pkg/storage/driver/util.go), and in a Secret base64
 * once more, as the API has all of a Secret's data. Whoever may write Secrets may write anything there.
 */
import { gunzipSync } from "node:zlib";

/** etcd takes 1.5 MiB; base64 twice is less than twice as much. */
const LARGEST_RECORD = 4 * 1024 * 1024;
/** A record holds its chart's files and manifests; a hundredfold of that is no chart. */
const LARGEST_JSON = 64 * 1024 * 1024;

export type RecordText = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string };

const BASE64 = /^[A-Za-z0-9+/\s]+=*\s*$/;
const isGzip = (bytes: Buffer) => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** @param data the field `release` of a Secret or of a ConfigMap */
export function recordText(data: unknown): RecordText {
  if (typeof data !== "string" || data === "") return { ok: false, why: "the record is empty" };
  if (data.length > LARGEST_RECORD) return { ok: false, why: "the record is larger than etcd takes" };
  let bytes = Buffer.from(data);
  for (let layers = 0; layers < 2 && !isGzip(bytes); layers++) {
    const text = bytes.toString("latin1");
    if (text.trimStart().startsWith("{")) break;
    if (!BASE64.test(text)) return { ok: false, why: "the record is not encoded as Helm does" };
    bytes = Buffer.from(text, "base64");
  }
  try {
    // records of before Helm 3 were not compressed
    const json = isGzip(bytes) ? gunzipSync(bytes, { maxOutputLength: LARGEST_JSON }) : bytes;
    if (json[0] === 0x7b) return { ok: true, text: json.toString() };
    return { ok: false, why: "the record is not encoded as Helm does" };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isBomb = code === "ERR_BUFFER_TOO_LARGE";
    return { ok: false, why: isBomb ? `the record expands to more than ${LARGEST_JSON} bytes` : message };
  }
}
