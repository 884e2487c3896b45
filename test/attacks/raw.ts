/** Requests as bytes, such as no client would send. */
import { connect, type Socket } from "node:net";

/** What a socket has heard until it was closed. */
export interface Heard {
  /** Everything, one character for each byte. */
  readonly text: string;
  /** Of the first answer; 0 where the connection was closed without one. */
  readonly status: number;
  /** How many answers there are. */
  readonly answers: number;
  /** Of the first answer. */
  readonly head: string;
  readonly body: string;
}

/** Sends `bytes`, and listens until the server closes the connection. */
export function sendRaw(port: number, bytes: string | Uint8Array): Promise<Heard> {
  return talk(port, (socket) => {
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

/** Lets `say` use a connection, and listens until the server closes it. */
export function talk(port: number, say: (socket: Socket) => void): Promise<Heard> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1" });
    socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
    // A reset is an answer, too: the server has hung up on what it was sent.
    socket.on("error", () => {}).on("close", () => resolve(heardIn(text)));
    socket.on("connect", () => say(socket));
  });
}

function heardIn(text: string): Heard {
  const answers = text.match(/HTTP\/1\.[01] \d{3} /g) ?? [];
  const [head = "", body = ""] = text.split("\r\n\r\n", 2);
  return {
    text,
    status: Number(/ (\d{3})/.exec(head)?.[1] ?? 0),
    answers: answers.length,
    head,
    body,
  };
}
