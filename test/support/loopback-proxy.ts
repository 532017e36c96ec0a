import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** What comes between a client and a server on loopback, whatever they speak. */
export interface LoopbackProxy {
  readonly port: number;
  readonly httpUrl: string;
  readonly webSocketUrl: string;
  /** Where connections go that are made from now on. */
  targetPort: number;
  /** What a round trip takes in addition, in ms. */
  latencyMs: number;
  /** At most so many bytes of an answer arrive every 5 ms; null for no limit. */
  dripBytes: number | null;
  /** While true nothing is passed on, in either direction: what was sent is held. */
  stalled: boolean;
  /** How often a client has sent something after it had an answer, or for the first time, on all connections. */
  roundTrips: number;
  /**
   * Cuts the connection at the next request that a client sends: before it has reached the server, or after the
   * server has answered it, with the answer lost. Resolves when it is cut.
   */
  cutNext(when: "before" | "after"): Promise<void>;
  /** Cuts every connection that is open now. */
  cutAll(): void;
  close(): Promise<void>;
}

/** How long a server that has begun to answer may need for the rest. */
const answerPauseMs = 100;

/** What is shorter closes a stream, or keeps a connection alive. */
const smallestRequestBytes = 128;

export async function startProxy(targetPort: number): Promise<LoopbackProxy> {
  const sockets = new Set<Socket>();
  let cut: { readonly when: "before" | "after"; readonly done: () => void } | null = null;

  const server = createServer((client) => {
    const target = connect(proxy.targetPort, "127.0.0.1");
    let turn: "client" | "server" = "server";
    let losesAnswer: (() => void) | null = null;
    const destroy = () => {
      client.destroy();
      target.destroy();
    };
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", destroy);
      socket.on("close", () => {
        sockets.delete(socket);
        destroy();
      });
    }
    const toTarget = passOn(target);
    const toClient = passOn(client);
    client.on("data", (chunk: Buffer) => {
      if (turn === "server") proxy.roundTrips += 1;
      turn = "client";
      const isRequest = chunk.length >= smallestRequestBytes;
      if (isRequest && cut?.when === "before") {
        cut.done();
        cut = null;
        destroy();
        return;
      }
      if (isRequest && cut !== null) {
        losesAnswer = cut.done;
        cut = null;
      }
      toTarget(chunk, null);
    });
    target.on("data", (chunk: Buffer) => {
      turn = "server";
      if (losesAnswer !== null) {
        // Several answers may be due; the last of them is the one that counts.
        setTimeout(() => {
          losesAnswer?.();
          destroy();
        }, answerPauseMs);
        return;
      }
      toClient(chunk, proxy.dripBytes);
    });
  });

  /** Writes to a socket in order, when it is time to. */
  function passOn(socket: Socket): (chunk: Buffer, dripBytes: number | null) => void {
    let tail: Promise<void> = Promise.resolve();
    return (chunk, dripBytes) => {
      const due = performance.now() + proxy.latencyMs / 2;
      tail = tail.then(async () => {
        const waitMs = due - performance.now();
        if (waitMs > 0) await pause(waitMs);
        while (proxy.stalled && !socket.destroyed) await pause(5);
        const portion = dripBytes ?? chunk.length;
        for (let at = 0; at < chunk.length; at += portion) {
          if (socket.destroyed) return;
          socket.write(chunk.subarray(at, at + portion));
          if (dripBytes !== null) await pause(5);
        }
      });
    };
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy: LoopbackProxy = {
    port,
    httpUrl: `http://127.0.0.1:${port}`,
    webSocketUrl: `ws://127.0.0.1:${port}`,
    latencyMs: 0,
    dripBytes: null,
    targetPort,
    stalled: false,
    roundTrips: 0,
    cutNext: (when) =>
      new Promise((resolve) => {
        cut = { when, done: resolve };
      }),
    cutAll() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      proxy.cutAll();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
