/** Options whose `onProgress` never ends, and aborts the signal. */
export function endlessProgress() {
  const controller = new AbortController();
  const onProgress = () => {
    setImmediate(() => controller.abort(new Error("enough")));
    return new Promise(() => {});
  };
  return { signal: controller.signal, onProgress };
}
