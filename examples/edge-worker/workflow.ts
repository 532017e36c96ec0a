import { defineStep, defineWorkflow } from "gorkflow";
import * as z from "zod/mini";

const signup = z.object({ email: z.email(), plan: z.enum(["free", "team"]) });

const admit = defineStep({
  id: "admit",
  input: signup,
  output: z.extend(signup, { seats: z.int() }),
  run: async ({ email, plan }) => ({ email, plan, seats: plan === "team" ? 10 : 1 }),
});

const greet = defineStep({
  id: "greet",
  input: z.extend(signup, { seats: z.int() }),
  output: z.object({ greeting: z.string() }),
  retry: { maxRetries: 3, delayMs: 100, backoff: "exponential" },
  run: async ({ email, seats }) => ({ greeting: `Welcome, ${email}: ${seats} of ${seats} seats` }),
});

export const signUp = defineWorkflow({ id: "sign-up" }).step(admit).step(greet).build();
