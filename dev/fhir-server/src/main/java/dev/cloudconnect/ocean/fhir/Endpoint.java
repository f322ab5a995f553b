package dev.cloudconnect.ocean.fhir;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.server.IncomingRequestAddressStrategy;
import ca.uhn.fhir.parser.LenientErrorHandler;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import org.springframework.beans.factory.BeanFactory;

/** The FHIR interface: every R4 resource type, searches answered in pages, and the capability statement. */
final class Endpoint {

    private Endpoint() {}

    /** The servlet that serves what {@link Storage} holds. Its links name the host the client asked. */
    static RestfulServer over(BeanFactory beans) {
        FhirContext context = beans.getBean(FhirContext.class);
        // Clinics have status codes of their own, which the standard does not know.
        context.setParserErrorHandler(new LenientErrorHandler().setErrorOnInvalidValue(false));
        RestfulServer fhir = new RestfulServer(context);
        fhir.setServerAddressStrategy(new IncomingRequestAddressStrategy());
        fhir.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        fhir.registerProvider(beans.getBean(JpaSystemProvider.class));
        fhir.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        fhir.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                fhir,
                beans.getBean(IFhirSystemDao.class),
                beans.getBean(JpaStorageSettings.class),
                beans.getBean(ISearchParamRegistry.class),
                beans.getBean(IValidationSupport.class)));
        return fhir;
    }
}
