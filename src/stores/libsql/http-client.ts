import { createClient, type Client } from "@libsql/client/web";
import { isReadRequest, readIndex, type PrimaryPosition } from "./primary-position.ts";
import { askWithin } from "../sqlite/connections/timeouts.ts";

/** The address of a server, and the token for it. */
export interface ServerConfig {
  readonly url: string;
  readonly authToken?: string;
}

/** A client over HTTP with a time limit for each call. It records the position of the server if one is given. */
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
            const { index: before, doubts } = position;
            const body = request.clone();
            let index: bigint | null = null;
            try {
              const answer = await readIndex(await ask(request));
              ({ index } = answer);
              return answer.copy;
            } finally {
              if (index === null) {
                position.noteAnswerWithoutIndex();
                if (!isReadRequest(await body.text())) position.noteDoubt();
              } else {
                position.noteAnswer(index, before, doubts);
              }
            }
          },
  });
}
