/**
 * The two services that every gRPC tool expects: `grpc.health.v1.Health` and server reflection.
 *
 * Reflection answers from the descriptor image that `npm run gen` leaves beside the generated code, together with
 * the health service's own description, so that a foreign client can list and call everything without our .proto files.
 */

import { readFileSync } from "node:fs";
import type { Server } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, loadSync } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, protoPath as healthProto } from "grpc-health-check";

const IMAGE = new URL("./gen/ferry.binpb", import.meta.url);

export interface Health {
  /** For the server as a whole and each of its services. */
  setServing(serving: boolean): void;
}

/** Serving from the start. */
export function addHealthAndReflection(server: Server, serviceNames: readonly string[]): Health {
  const names = ["", ...serviceNames];
  const health = new HealthImplementation(Object.fromEntries(names.map(name => [name, "SERVING" as const])));
  health.addToServer(server);
  new ReflectionService(describedServices(serviceNames)).addToServer(server);
  return {
    setServing: serving => {
      for (const name of names) health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
    },
  };
}

/** Lists only what this server offers: the image describes the controller and the agent alike. */
function describedServices(serviceNames: readonly string[]) {
  const everything = loadFileDescriptorSetFromBuffer(readFileSync(IMAGE));
  const offered = Object.entries(everything).filter(
    ([name, definition]) => "format" in definition || serviceNames.includes(name),
  );
  return { ...Object.fromEntries(offered), ...loadSync(healthProto) };
}
