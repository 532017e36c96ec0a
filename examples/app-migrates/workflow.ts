import { defineStep, defineWorkflow } from "gorkflow";
import { z } from "zod";
import { letters, members } from "./schema.ts";

const member = z.object({ email: z.email(), name: z.string() });

const enrol = defineStep({
  id: "enrol",
  input: member,
  output: member,
  // The app's row, this output and the completion of the step are one commit.
  run: (newMember, ctx) =>
    ctx.transaction(async (tx) => {
      await tx.insert(members).values(newMember).onConflictDoNothing();
      return newMember;
    }),
});

const welcome = defineStep({
  id: "welcome",
  input: member,
  output: z.string(),
  run: ({ email, name }, ctx) =>
    ctx.transaction(async (tx) => {
      await tx.insert(letters).values({ email, subject: `Welcome, ${name}` });
      return email;
    }),
});

export const welcomeMember = defineWorkflow({ id: "welcome-member" })
  .step(enrol)
  .step(welcome)
  .build();
