import type { Client } from "@libsql/client";
import { untilAborted } from "../../async/abort.ts";
import type { ReaderLimits } from "../../client/reader.ts";
import { within } from "../sqlite/connections/timeouts.ts";

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
    transaction: (mode?: "read") => limited(() => client.transaction(mode ?? "read")),
    executeMultiple: (sql) => limited(() => client.executeMultiple(sql)),
    sync: () => limited(() => client.sync()),
    reconnect: () => client.reconnect(),
    close: () => client.close(),
  };
}
