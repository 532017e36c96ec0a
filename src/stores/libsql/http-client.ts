import { createClient, type Client } from "@libsql/client/web";
import { readIndex, type PrimaryPosition } from "./primary-position.ts";
import { askWithin } from "./timeouts.ts";

/** Where a server is, and what it is shown. */
export interface ServerConfig {
  readonly url: string;
  readonly authToken?: string;
}

/** A client over HTTP that does not wait for ever, and notes how far the server is, where that is asked for. */
export function createHttpClient(
  config: ServerConfig,
  timeoutMs: number,
  position: PrimaryPosition | null,
): Client {
  const ask = askWithin(timeoutMs);
  return createClient({
    ...config,
    fetch:
      position === null
        ? ask
        : async (request: Request) => {
            const before = position.index;
            const { index, copy } = await readIndex(await ask(request));
            position.noteAnswer(index, before);
            return copy;
          },
  });
}
