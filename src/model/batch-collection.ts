import { InvalidArgumentError } from "../errors.ts";

/** The names of the writes that a batch may have. */
const batchedWrites = [
  "createRun",
  "updateRun",
  "deleteRun",
  "createStepExecution",
  "updateStepExecution",
  "saveStepAttempt",
  "saveStepOutput",
  "saveState",
  "deleteState",
] as const;

type WriteName = (typeof batchedWrites)[number];

/**
 * What `collect` notes down, planned and so checked, in order. Nothing has been written yet.
 *
 * @throws {InvalidArgumentError} when `collect` is asynchronous, and whatever a plan refuses.
 */
export function collectWrites<Plan, Writer>(
  collect: (write: Writer) => void,
  plans: { readonly [Name in WriteName]: (...args: never[]) => Plan },
): Plan[] {
  if (typeof collect !== "function") {
    throw new InvalidArgumentError({ argument: "collect", reason: "must be a function" });
  }
  const planned: Plan[] = [];
  const writer: { [Name in WriteName]?: (...args: never[]) => void } = {};
  for (const name of batchedWrites) {
    writer[name] = (...args) => {
      planned.push(plans[name](...args));
    };
  }
  const result: unknown = collect(writer as Writer);
  if (typeof result === "object" && result !== null && "then" in result) {
    throw new InvalidArgumentError({
      argument: "collect",
      reason: "must not be asynchronous: what it writes later would not be in the batch",
    });
  }
  return planned;
}
