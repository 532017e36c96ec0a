import { RefusedRequestError } from "./errors.ts";

/** No script but the page's own file runs, and nothing is loaded from elsewhere. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

export const securityHeaders: Readonly<Record<string, string>> = {
  "content-security-policy": contentSecurityPolicy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/**
 * Refuses a request that another site made the browser send.
 *
 * @throws {RefusedRequestError} if its `Origin` or `Sec-Fetch-Site` is not the studio's, or if it changes something and
 *   is not JSON, which a form cannot send.
 */
export function refuseOtherSites({ method, headers, url }: Request): void {
  const isChange = method !== "GET" && method !== "HEAD";
  const origin = headers.get("origin");
  const site = headers.get("sec-fetch-site");
  const isNavigation = !isChange && headers.get("sec-fetch-mode") === "navigate";
  const isOther = site !== null && site !== "same-origin" && site !== "none";
  if ((origin !== null && hostOf(origin) !== new URL(url).host) || (isOther && !isNavigation)) {
    throw new RefusedRequestError(403, "OTHER_ORIGIN", "the request comes from another site");
  }
  if (isChange && !/^application\/json *(;|$)/i.test(headers.get("content-type") ?? "")) {
    throw new RefusedRequestError(415, "NOT_JSON", "a change is sent as application/json");
  }
}

/** @throws {RefusedRequestError} unless the request names this computer, which another computer may do as well. */
export function refuseOtherHosts({ url }: Request): void {
  const { hostname } = new URL(url);
  if (/^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname)) return;
  const message = "without the option authorize, only requests to a loopback address are answered";
  throw new RefusedRequestError(403, "OTHER_HOST", message);
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
