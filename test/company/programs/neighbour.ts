// Another process of the app: it runs the statements that it is sent, each group in one transaction.
import { createClient, type InStatement } from "@libsql/client";

interface Task {
  readonly id: number;
  readonly url: string;
  readonly statements: InStatement[];
}

process.on("message", (task: Task) => {
  void work(task);
});

async function work({ id, url, statements }: Task): Promise<void> {
  const client = createClient({ url, timeout: 5000 });
  try {
    await client.batch(statements, "write");
    process.send?.({ id, error: null });
  } catch (error) {
    process.send?.({ id, error: String(error) });
  } finally {
    client.close();
  }
}
