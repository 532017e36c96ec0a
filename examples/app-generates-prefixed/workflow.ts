import { defineStep, defineWorkflow } from "gorkflow";
import { z } from "zod";

const runTests = defineStep({
  id: "run-tests",
  input: z.object({ commit: z.string() }),
  output: z.object({ passed: z.boolean() }),
  run: ({ commit }) => ({ passed: commit !== "" }),
});

export const buildCommit = defineWorkflow({ id: "build-commit" }).step(runTests).build();
