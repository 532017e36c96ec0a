export type { Durability, JournalMode, LocalClientConfig, ServerOptions } from "./config.ts";
export { createClient } from "./create-client.ts";
export { createReader, type Reader, type ReaderConfig, type ReaderLimits } from "./reader.ts";
export {
  isLocalClient,
  type LocalClient,
  type LocalTransaction,
  type Statement,
  type StatementResult,
} from "./local-client.ts";
