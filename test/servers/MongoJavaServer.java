import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.ServerVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.util.List;

/**
 * Starts the MongoDB wire-compatible mongo-java-server on a free loopback port and prints its port. It keeps its data
 * in the file that is given, and ends when its standard input ends, so that it never outlives a test.
 */
public class MongoJavaServer {
  /** It says wire version 8; current drivers ask for 9 (MongoDB 4.4), and nothing that the adapter uses differs. */
  private static final MongoVersion VERSION =
      new MongoVersion() {
        public List<Integer> getVersionArray() {
          return ServerVersion.MONGO_5_0.getVersionArray();
        }

        public int getWireVersion() {
          return 9;
        }
      };

  public static void main(String[] args) throws Exception {
    H2Backend backend = new H2Backend(args[0]);
    backend.version(VERSION);
    MongoServer server = new MongoServer(backend);
    System.out.println("port " + server.bind().getPort());
    while (System.in.read() >= 0) {}
    server.shutdownNow();
    System.exit(0);
  }
}
