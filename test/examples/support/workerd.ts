import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** The binary for this platform. The package's own command starts it as a child process. */
const { default: program } = createRequire(import.meta.url)("workerd") as { default: string };

/** An edge runtime on loopback. */
export interface Workerd {
  readonly url: string;
  /** The messages of the runtime so far. */
  readonly complaints: string;
  stop(): Promise<void>;
}

/** Serves the socket `http` of the configuration on a free port. Rejects if it does not start. */
export async function startWorkerd(
  config: string,
  env: Readonly<Record<string, string>>,
): Promise<Workerd> {
  const child = spawn(
    program,
    ["serve", config, "--socket-addr", "http=127.0.0.1:0", "--control-fd", "3"],
    { env, stdio: ["ignore", "ignore", "pipe", "pipe"] },
  );
  const killed = () => child.kill("SIGKILL");
  process.once("exit", killed);
  let complaints = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  const exited = once(child, "exit");
  const ended = exited.then(() => {
    throw new Error(`workerd ended: ${complaints}`);
  });
  const control = createInterface({ input: child.stdio[3] as Readable });
  const [line] = (await Promise.race([once(control, "line"), ended])) as [string];
  const { port } = JSON.parse(line) as { port: number };
  ended.catch(() => undefined);
  return {
    url: `http://127.0.0.1:${port}`,
    get complaints() {
      return complaints;
    },
    async stop() {
      process.off("exit", killed);
      killed();
      await exited;
    },
  };
}
