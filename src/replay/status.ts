/**
 * Status, the body of every answer of the Kubernetes API that is no object (apimachinery, pkg/api/errors/errors.go).
 * The words are the API server's own, so that clients which read them understand.
 */

/** Why a request failed, as programs tell it (meta/v1, StatusReason). */
export type StatusReason =
  | "BadRequest"
  | "Forbidden"
  | "NotFound"
  | "MethodNotAllowed"
  | "NotAcceptable"
  | "UnsupportedMediaType"
  | "Expired"
  | "Invalid"
  | "AlreadyExists"
  | "Conflict"
  | "TooManyRequests"
  | "InternalError"
  | "ServiceUnavailable"
  | "Timeout";

export const STATUS_CODES: Readonly<Record<StatusReason, number>> = {
  BadRequest: 400,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
};

export type StatusDetails = {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
};

/** The body of a refusal. */
export function statusBody(
  reason: StatusReason,
  message: string,
  details?: StatusDetails,
  code = STATUS_CODES[reason],
) {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(details && { details }),
    code,
  };
}

/** A request that is refused; thrown where that is known, answered as a Status. */
export class StatusError extends Error {
  readonly reason: StatusReason;
  readonly details: StatusDetails | undefined;

  constructor(reason: StatusReason, message: string, details?: StatusDetails) {
    super(message);
    this.name = "StatusError";
    this.reason = reason;
    this.details = details;
  }
}

/** "The server could not find the requested resource": no such path. */
export const noSuchPath = () => new StatusError("NotFound", "the server could not find the requested resource", {});

/** A resource as messages name it: `pods`, `deployments.apps`. */
export const qualified = ({ plural, group }: { readonly plural: string; readonly group: string }): string =>
  group === "" ? plural : `${plural}.${group}`;

export function notFound(type: { readonly plural: string; readonly group: string }, name: string): StatusError {
  const details = { name, ...(type.group !== "" && { group: type.group }), kind: type.plural };
  return new StatusError("NotFound", `${qualified(type)} "${name}" not found`, details);
}
