/**
 * How long a request may take to arrive, and an answer to be taken, by clients that have shown a certificate and answer each
 * ping: grpc-js itself waits for ever. What a handler does in between, and a stream of answers, may take as long as it likes.
 *
 *     headers … the request's end   limited; where requests are streamed: a message's first byte … its last
 *     the last answer … its arrival  limited
 */

import { constants, type ServerHttp2Stream } from "node:http2";
import {
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from "@grpc/grpc-js";

type Call = Parameters<ServerInterceptor>[1];

/** Its refusal is sent, and the stream is let go with all that it held; other calls of the connection go on. */
export const limitRequests =
  (limitMs: number): ServerInterceptor =>
  ({ requestStream, responseStream }, call) => {
    const stream = streamOf(call);
    const arrival = new Limit(limitMs, () => refuse(call, stream, limitMs));
    const delivery = new Limit(limitMs, () => stream.close(constants.NGHTTP2_CANCEL));
    if (requestStream) stream.on("data", () => arrival.begin());
    else arrival.begin();
    stream.once("end", () => arrival.end());
    stream.once("close", () => {
      arrival.end();
      delivery.end();
    });
    const listener = new ServerListenerBuilder().withOnReceiveMessage((message, next) => {
      if (requestStream) arrival.end();
      next(message);
    });
    const responder = new ResponderBuilder()
      .withStart(next => next(listener.build()))
      .withSendMessage((answer, next) => {
        if (!responseStream) delivery.begin();
        next(answer);
      })
      .withSendStatus((last, next) => {
        delivery.begin();
        next(last);
      });
    return new ServerInterceptingCall(call, responder.build());
  };

class Limit {
  readonly #ms: number;
  readonly #exceeded: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, exceeded: () => void) {
    this.#ms = ms;
    this.#exceeded = exceeded;
  }

  begin(): void {
    this.#timer ??= setTimeout(this.#exceeded, this.#ms);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function refuse(call: Call, stream: ServerHttp2Stream, limitMs: number): void {
  const details = `the request did not arrive within ${limitMs / 1_000} s; nothing was done`;
  call.sendStatus({ code: status.DEADLINE_EXCEEDED, details });
  // Once that is sent. The client is to end its half of the stream, too (RFC 9113, 8.1).
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** What grpc-js keeps to itself; without it a client could hold its half of a stream open for ever, whatever it is told. */
function streamOf(call: Call): ServerHttp2Stream {
  const { stream } = call as unknown as { readonly stream?: ServerHttp2Stream };
  if (typeof stream?.close !== "function")
    throw new Error("this grpc-js does not say which stream a call is");
  return stream;
}
