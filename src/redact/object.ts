/** Takes secrets out of Kubernetes objects: by what the field is, and then by the form of every string. */
import { hidden, type Secret, withoutSecrets } from "./text.ts";

type Told = (redaction: { readonly pointer: string; readonly what: Secret }) => void;

/** Environment variables whose values are secrets, by their names. */
const SECRET_NAME =
  /pass(word|wd|phrase)?|pwd|secret|token|credential|private|api_?key|access_?key|_key$|^key$|dsn|connection_?string/i;
/** … but not of these: they say where one is, or switch something. */
const NO_SECRET_NAME = /(_FILE|_PATH|_NAME|_DIR|_ENABLED|_TTL|_URL|_ISSUER)$/i;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const escaped = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** Items of a list do not say their kind: the list does. Nor does a patch in an audit log: what it was sent to does. */
const isSecretKind = ({ kind, objectRef }: Record<string, unknown>): boolean =>
  kind === "Secret" || kind === "SecretList" || (isObject(objectRef) && objectRef.resource === "secrets");

/** @returns a copy without secrets; the keys of Secrets stay, their values do not */
export function redactObject(object: unknown, told: Told): unknown {
  return visit(object, "", false, told);
}

function visit(value: unknown, pointer: string, isSecret: boolean, told: Told): unknown {
  if (typeof value === "string") return withoutSecrets(value, (what) => told({ pointer, what }));
  if (Array.isArray(value)) return value.map((item, index) => visit(item, `${pointer}/${index}`, isSecret, told));
  if (!isObject(value)) return value;
  const isOfSecret = isSecret || isSecretKind(value);
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      field(value, key, part, `${pointer}/${escaped(key)}`, isOfSecret, told),
    ]),
  );
  return copy;
}

function field(
  owner: Record<string, unknown>,
  key: string,
  value: unknown,
  pointer: string,
  isSecret: boolean,
  told: Told,
): unknown {
  if (isSecret && (key === "data" || key === "stringData") && isObject(value)) {
    return Object.fromEntries(
      Object.keys(value).map((name) => {
        told({ pointer: `${pointer}/${escaped(name)}`, what: "Secret" });
        return [name, hidden("Secret")];
      }),
    );
  }
  // Helm may keep its records in ConfigMaps: what a chart makes is in them, Secrets too
  if (key === "data" && isObject(value) && isHelmRecord(owner)) {
    told({ pointer: `${pointer}/release`, what: "Secret" });
    return { ...value, release: hidden("Secret") };
  }
  // it repeats the whole object
  if (isSecret && key === "kubectl.kubernetes.io/last-applied-configuration") {
    told({ pointer, what: "Secret" });
    return hidden("Secret");
  }
  if (key === "value" && typeof value === "string" && value !== "" && isSecretName(owner.name)) {
    told({ pointer, what: "environment value" });
    return hidden("environment value");
  }
  return visit(value, pointer, isSecret, told);
}

const isHelmRecord = ({ metadata, data }: Record<string, unknown>): boolean =>
  isObject(metadata) &&
  isObject(metadata.labels) &&
  metadata.labels.owner === "helm" &&
  isObject(data) &&
  "release" in data;

const isSecretName = (name: unknown): boolean =>
  typeof name === "string" && SECRET_NAME.test(name) && !NO_SECRET_NAME.test(name);
