import { createClient, type Client, type Transaction } from "@libsql/client/web";
import { untilAborted } from "../../async/abort.ts";
import type { ReaderLimits } from "../../client/reader.ts";
import { isReadRequest, readIndex, type PrimaryPosition } from "./primary-position.ts";
import { askWithin, ServerTimeoutError, within } from "../sqlite/connections/timeouts.ts";

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
            const writes = async () => !isReadRequest(await body.text());
            let index: bigint | null = null;
            let countsRows = false;
            try {
              const answer = await readIndex(await ask(request));
              ({ index, countsRows } = answer);
              return answer.copy;
            } finally {
              if (index === null) {
                position.noteAnswerWithoutIndex();
                if (await writes()) position.noteDoubt();
              } else {
                const hasChanged = countsRows && index === before && (await writes());
                position.noteAnswer(index, before, doubts, hasChanged);
              }
            }
          },
  });
}

/** A client of a server whose callers wait no longer than the limits allow. The server itself may continue. */
export function limitClient(client: Client, { signal, timeoutMs }: ReaderLimits): Client {
  const limited = async <T>(request: () => Promise<T>): Promise<T> => {
    signal?.throwIfAborted();
    const answer = untilAborted(signal, request());
    return timeoutMs === undefined ? answer : within(timeoutMs, answer, () => undefined);
  };
  return {
    protocol: client.protocol,
    get closed() {
      return client.closed;
    },
    execute: (statement: Parameters<Client["batch"]>[0][number] | string, args?: never) =>
      limited(() =>
        typeof statement === "string"
          ? client.execute(statement, args)
          : client.execute(statement as never),
      ),
    batch: (statements, mode) => limited(() => client.batch(statements, mode)),
    migrate: (statements) => limited(() => client.migrate(statements)),
    async transaction(mode?: "read"): Promise<Transaction> {
      const transaction = await limited(() => client.transaction(mode ?? "read"));
      const inTime = async <T>(request: () => Promise<T>): Promise<T> => {
        try {
          return await limited(request);
        } catch (error) {
          // A rollback would wait for the statement.
          if (signal?.aborted === true || error instanceof ServerTimeoutError) transaction.close();
          throw error;
        }
      };
      return {
        execute: (statement) => inTime(() => transaction.execute(statement)),
        batch: (statements) => inTime(() => transaction.batch(statements)),
        executeMultiple: (sql) => inTime(() => transaction.executeMultiple(sql)),
        commit: () => inTime(() => transaction.commit()),
        rollback: () => transaction.rollback(),
        close: () => transaction.close(),
        get closed() {
          return transaction.closed;
        },
      };
    },
    executeMultiple: (sql) => limited(() => client.executeMultiple(sql)),
    sync: () => limited(() => client.sync()),
    reconnect: () => client.reconnect(),
    close: () => client.close(),
  };
}
