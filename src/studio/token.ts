import { describeError, RefusedRequestError } from "./errors.ts";
import { securityHeaders } from "./guards.ts";
import type { Studio } from "./options.ts";

export interface TokenOptions {
  readonly token: string;
  /** The values of `Host` to which requests may be sent: `127.0.0.1:4983`. */
  readonly hosts: readonly string[];
}

/**
 * A studio that answers only requests with the token: in the link of the page, in the cookie that the page then sets, or
 * in `Authorization: Bearer`. A request to another host is refused, because DNS rebinding sends one.
 */
export function withToken(studio: Studio, { token, hosts }: TokenOptions): Studio {
  return {
    async fetch(request) {
      try {
        const { host, port, searchParams } = new URL(request.url);
        if (!hosts.includes(host)) {
          throw new RefusedRequestError(403, "OTHER_HOST", "the request is to another host");
        }
        // Cookies do not distinguish ports.
        const name = `gorkflow_studio_${port}`;
        const isLink = request.method === "GET" && isEqual(searchParams.get("token"), token);
        const isKnown =
          isLink ||
          cookiesOf(request, name).some((value) => isEqual(value, token)) ||
          isEqual(bearerOf(request), token);
        if (!isKnown) {
          const message = "open the link that gorkflow studio printed: it contains the token";
          throw new RefusedRequestError(401, "TOKEN_MISSING", message);
        }
        const response = await studio.fetch(request);
        if (!isLink) return response;
        const headers = new Headers(response.headers);
        headers.append("set-cookie", `${name}=${token}; Path=/; HttpOnly; SameSite=Strict`);
        const { status } = response;
        return new Response(response.body, { status, headers });
      } catch (error) {
        const { status, error: shown } = describeError(error);
        const headers = { ...securityHeaders, "content-type": "text/plain; charset=utf-8" };
        return new Response(`${shown.message}\n`, { status, headers });
      }
    },
  };
}

/** Compares all characters, so that the time does not tell how many are right. */
function isEqual(given: string | null, token: string): boolean {
  if (given === null || given.length !== token.length) return false;
  let difference = 0;
  for (let index = 0; index < token.length; index++) {
    difference |= given.charCodeAt(index) ^ token.charCodeAt(index);
  }
  return difference === 0;
}

/** A browser sends one for each path and domain that have set it. */
function cookiesOf({ headers }: Request, name: string): string[] {
  const pairs = (headers.get("cookie") ?? "").split(/; */);
  return pairs
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}

function bearerOf({ headers }: Request): string | null {
  return /^Bearer (.+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? null;
}
