import type { Studio } from "../../../src/studio/options.ts";

export const host = "http://localhost:4983";

interface Call {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export async function get(studio: Studio, path: string, headers: Record<string, string> = {}) {
  const response = await studio.fetch(new Request(`${host}/api/${path}`, { headers }));
  return { status: response.status, body: await response.json() } as Call;
}

export async function post(
  studio: Studio,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
) {
  const response = await studio.fetch(
    new Request(`${host}/api/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  );
  return { status: response.status, body: await response.json() } as Call;
}
