/**
 * The two services that every gRPC tool expects: `grpc.health.v1.Health` and server reflection.
 *
 * Reflection hands out the compiler's own descriptors, which `npm run gen` leaves beside the generated code. (Those
 * that proto-loader derives from its own model merge files and shorten type names, and Go clients refuse them.)
 */

import { readFileSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";

const IMAGES = [
  new URL("./gen/ferry.binpb", import.meta.url),
  new URL("./gen/health.binpb", import.meta.url),
];
const HEALTH = "grpc.health.v1.Health";

export interface Health {
  /** For the server as a whole and each of its services. */
  setServing(serving: boolean): void;
}

/** Serving from the start. Only `serviceNames` and health are listed: the image describes both daemons. */
export function addHealthAndReflection(server: Server, serviceNames: readonly string[]): Health {
  const names = ["", ...serviceNames];
  const health = new HealthImplementation(Object.fromEntries(names.map(name => [name, "SERVING" as const])));
  health.addToServer(server);
  new ReflectionService(descriptors(), { services: [...serviceNames, HEALTH] }).addToServer(server);
  return {
    setServing: serving => {
      for (const name of names) health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
    },
  };
}

type Descriptors = ConstructorParameters<typeof ReflectionService>[0];

/** The service reads nothing of a package but its `fileDescriptorProtos`. */
function descriptors(): Descriptors {
  const sets = IMAGES.map(image => fromBinary(FileDescriptorSetSchema, readFileSync(image)));
  const files = sets.flatMap(({ file }) =>
    file.map(one => Buffer.from(toBinary(FileDescriptorProtoSchema, one))),
  );
  return { files: { fileDescriptorProtos: files } } as unknown as Descriptors;
}
