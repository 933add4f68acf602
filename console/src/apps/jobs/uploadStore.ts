/**
 * The uploads that this page sends. They go on while the person looks at other pages.
 */
import { defineStore } from "pinia";
import { ref } from "vue";
import { type BegunUpload, UploadTask, type UploadView } from "./upload";

export const useUploads = defineStore("uploads", () => {
  const views = ref<Record<string, UploadView>>({});
  const tasks = new Map<string, UploadTask>();

  /**
   * Begins to send a file, or goes on with it (with `begun`, or what this browser remembers); answers with
   * the id of its job.
   */
  async function send(file: File, begun: BegunUpload | null = null): Promise<string> {
    const task: UploadTask = new UploadTask(file, begun, (view) => show(task, view));
    const id = await task.start();
    tasks.set(id, task);
    return id;
  }

  function show(task: UploadTask, view: UploadView): void {
    views.value[view.sessionId] = { ...view };
    tasks.set(view.sessionId, task);
  }

  function resume(id: string): void {
    tasks.get(id)?.resume();
  }

  async function stop(id: string): Promise<void> {
    await tasks.get(id)?.stop();
    tasks.delete(id);
    delete views.value[id];
  }

  return { views, send, resume, stop };
});
