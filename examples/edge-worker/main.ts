// npm run deploy && npm run build && npm start
//
// Runs workflows on a libSQL server, in a runtime without Node and without a file system.
import { Engine, GorkflowError, LibSQLStore } from "gorkflow";
import { throughput } from "gorkflow/reports";
import { signUp } from "./workflow.ts";

interface Env {
  readonly DATABASE_URL: string;
  readonly AUTH_TOKEN: string | null;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    // One store per request: in this runtime, a request cannot use a connection of another one.
    let store: LibSQLStore | null = null;
    try {
      store = await LibSQLStore.open({
        url: env.DATABASE_URL,
        authToken: env.AUTH_TOKEN ?? undefined,
        // `deploy.ts` migrates.
        migrate: false,
      });
      return await answer(request, store);
    } catch (error) {
      if (!(error instanceof GorkflowError)) throw error;
      const status = error.retryable ? 503 : 400;
      return Response.json({ error: error.code, message: error.message }, { status });
    } finally {
      await store?.close();
    }
  },
};

async function answer(request: Request, store: LibSQLStore): Promise<Response> {
  const { pathname } = new URL(request.url);
  switch (`${request.method} ${pathname}`) {
    // Only store the run. A worker elsewhere executes it.
    case "POST /queue": {
      const input = await request.json();
      const { runId } = await store.createRun({ workflowId: "import", input });
      return Response.json({ runId }, { status: 202 });
    }
    // Execute the run within the request.
    case "POST /sign-ups": {
      const engine = new Engine(store);
      try {
        // The engine validates the input before it stores anything.
        const { runId, status, output } = await engine.run(signUp, await request.json());
        return Response.json({ runId, status, output });
      } finally {
        await engine.close();
      }
    }
    case "GET /runs": {
      const { runs } = await store.listRuns({ limit: 20 });
      return Response.json(
        runs.map(({ runId, workflowId, status }) => ({ runId, workflowId, status })),
      );
    }
    case "GET /report": {
      return Response.json(await throughput(store.db, { per: "day" }));
    }
    default:
      return new Response(null, { status: 404 });
  }
}
