package dev.cloudconnect.ocean.fhir;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.IDaoRegistry;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.HibernatePropertiesProvider;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.config.util.ResourceCountCacheUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.DaoRegistryResourceSupportedSvc;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.search.IStaleSearchDeletingSvc;
import ca.uhn.fhir.jpa.search.StaleSearchDeletingSvcImpl;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.util.ResourceCountCache;
import ca.uhn.fhir.rest.api.IResourceSupportedSvc;
import jakarta.persistence.EntityManagerFactory;
import java.util.Properties;
import javax.sql.DataSource;
import org.h2.jdbcx.JdbcConnectionPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.transaction.annotation.EnableTransactionManagement;

/** HAPI's JPA storage over H2 in memory: HAPI's own R4 set of beans, and those it leaves to the application. */
@Configuration
@EnableTransactionManagement
@Import({
    JpaR4Config.class,
    JpaBatch2Config.class,
    Batch2JobsConfig.class,
    SubscriptionChannelConfig.class,
    ThreadPoolFactoryConfig.class
})
class Storage {

    private static final int DEFAULT_PAGE = 20;
    private static final int LARGEST_PAGE = 100;

    @Bean
    JpaStorageSettings storageSettings() {
        JpaStorageSettings settings = new JpaStorageSettings();
        // A test reads what it has just written: no answer may come from an earlier search.
        settings.setReuseCachedSearchResultsForMillis(null);
        // EMRs delete charts that appointments still point to, and hide people who are named in them.
        settings.setEnforceReferentialIntegrityOnDelete(false);
        settings.setEnforceReferentialIntegrityOnWrite(false);
        // EMRs have numbers for ids, so the server's own must look different.
        settings.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);
        settings.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
        settings.setHibernateSearchIndexFullText(false);
        return settings;
    }

    /** Pages of at most 100, whatever {@code _count} asks: a client must follow links and not count. */
    @Bean
    DatabaseBackedPagingProvider paging() {
        DatabaseBackedPagingProvider paging = new DatabaseBackedPagingProvider();
        paging.setDefaultPageSize(DEFAULT_PAGE);
        paging.setMaximumPageSize(LARGEST_PAGE);
        return paging;
    }

    @Bean
    DataSource database() {
        return JdbcConnectionPool.create("jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1", "sa", "");
    }

    @Bean
    @Primary
    LocalContainerEntityManagerFactoryBean entityManagerFactory(
            ConfigurableListableBeanFactory beans, DataSource database, FhirContext fhir, JpaStorageSettings settings) {
        Properties hibernate = new Properties();
        hibernate.setProperty("hibernate.dialect", HapiFhirH2Dialect.class.getName());
        hibernate.setProperty("hibernate.hbm2ddl.auto", "create");
        hibernate.setProperty("hibernate.search.enabled", "false");
        var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
        factory.setDataSource(database);
        factory.setJpaProperties(hibernate);
        factory.setPersistenceUnitName("HAPI_PU");
        return factory;
    }

    // HAPI asks for this bean by name.
    @Bean(name = "transactionManager")
    @Primary
    JpaTransactionManager transactions(EntityManagerFactory factory) {
        return new JpaTransactionManager(factory);
    }

    @Bean
    @Primary
    HibernatePropertiesProvider hibernateProperties(LocalContainerEntityManagerFactoryBean factory) {
        return new HibernatePropertiesProvider();
    }

    @Bean
    IResourceSupportedSvc supportedResources(IDaoRegistry registry) {
        return new DaoRegistryResourceSupportedSvc(registry);
    }

    // And for this one.
    @Bean(name = "myResourceCountsCache")
    ResourceCountCache resourceCounts(IFhirSystemDao<?, ?> system) {
        return ResourceCountCacheUtil.newResourceCountCache(system);
    }

    @Bean
    IStaleSearchDeletingSvc staleSearches() {
        return new StaleSearchDeletingSvcImpl();
    }

    @Bean
    PartitionSettings partitions() {
        return new PartitionSettings();
    }

    @Bean
    SubscriptionSettings subscriptions() {
        return new SubscriptionSettings();
    }
}
