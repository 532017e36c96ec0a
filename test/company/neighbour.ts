import { compileProgram, startProgram } from "../support/child-processes.ts";
import { join } from "node:path";

/** Another process that works in the same database. */
export interface Neighbour {
  /** Runs the statements in one transaction. */
  run(
    url: string,
    statements: readonly (string | { sql: string; args: unknown[] })[],
  ): Promise<void>;
  stop(): Promise<void>;
}

type Answer = { readonly id: number; readonly error: string | null };

export async function startNeighbour(): Promise<Neighbour> {
  const path = await compileProgram(join(import.meta.dirname, "programs/neighbour.ts"));
  const program = startProgram<Answer>(path, []);
  let count = 0;
  return {
    async run(url, statements) {
      const id = (count += 1);
      program.send({ id, url, statements });
      const { error } = await program.message((answer) => answer.id === id);
      if (error !== null) throw new Error(`the other process failed: ${error}`);
    },
    stop: () => program.kill(),
  };
}
