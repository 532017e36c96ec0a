// npm run migrate && npm run deploy
//
// Requests start runs, together with a row of the app. A cron trigger executes them every minute.
import { drizzle } from "drizzle-orm/d1";
import { Engine, GorkflowError, SQLiteStore } from "gorkflow";
import { signUp } from "./workflow.ts";

/** A trigger may run for 15 minutes on Cloudflare. The next one comes after one. */
const workMs = 50_000;

interface Env {
  readonly DB: Parameters<typeof drizzle>[0];
}

export default {
  async fetch(request: Request, { DB }: Env): Promise<Response> {
    // One store for each request: in this runtime, a request cannot wait for the queries of another one.
    const store = new SQLiteStore(drizzle(DB));
    const { pathname } = new URL(request.url);
    try {
      if (request.method === "GET") {
        const { runId, status, output } = await store.getRun(pathname.slice(1));
        return Response.json({ runId, status, output });
      }
      const engine = new Engine(store);
      // The engine validates the input. It executes nothing here.
      const runId = await engine.start(signUp, await request.json());
      await engine.close();
      return Response.json({ runId }, { status: 202 });
    } catch (error) {
      if (!(error instanceof GorkflowError)) throw error;
      const status = error.retryable ? 503 : 400;
      return Response.json({ error: error.code, message: error.message }, { status });
    }
  },

  /** Executes the runs that no worker holds. What is left when the time is up is released for the next trigger. */
  async scheduled(_event: unknown, { DB }: Env): Promise<void> {
    const engine = new Engine(new SQLiteStore(drizzle(DB)), { concurrency: 5 }).register(signUp);
    const timer = setTimeout(() => void engine.close({ deadlineMs: 5000 }), workMs);
    try {
      await engine.recover();
    } catch (error) {
      if (!(error instanceof GorkflowError && error.code === "ENGINE_CLOSED")) throw error;
    } finally {
      clearTimeout(timer);
      await engine.close();
    }
  },
};
